//! When an instrument still pays, as seen from the evaluation date.

use jiff::ToSpan;
use jiff::civil::Date;
use rust_decimal::Decimal;

/// The most payments that are priced: a hundred years of months.
pub const MAX_PAYMENTS: u32 = 1200;

/// The payments to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// How many there are, at least 1.
    pub payments: u32,
    /// The part of a period until the next one, in (0, 1]: 1 on a payment date.
    pub until_next: Decimal,
}

/// Why there is no schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unpayable {
    #[error("not a whole number of periods, or none")]
    BrokenTerm,
    #[error("the instrument has matured by the evaluation date")]
    Matured,
    #[error("more than {MAX_PAYMENTS} payments to come")]
    TooManyPayments,
    #[error("a payment date beyond the calendar")]
    BeyondTheCalendar,
}

/// The schedule of an instrument with so many years to go, evaluated on a payment date.
pub(super) fn of_term(years: Decimal, frequency: u32) -> Result<Schedule, Unpayable> {
    if years > Decimal::from(MAX_PAYMENTS) {
        return Err(Unpayable::TooManyPayments);
    }
    let payments = years * Decimal::from(frequency);
    if !payments.is_integer() || payments < Decimal::ONE {
        return Err(Unpayable::BrokenTerm);
    }
    Ok(Schedule {
        payments: few_enough(i32::try_from(payments).map_err(|_| Unpayable::TooManyPayments)?)?,
        until_next: Decimal::ONE,
    })
}

/// The schedule of an instrument that matures on a day, counted back from there in whole periods.
///
/// A payment falls on the day of month of the maturity, or on the month's last day where the month
/// is too short. One on the evaluation date has been paid.
pub(super) fn until(evaluated: Date, matures: Date, frequency: u32) -> Result<Schedule, Unpayable> {
    if matures <= evaluated {
        return Err(Unpayable::Matured);
    }
    let period = 12 / i32::try_from(frequency).map_err(|_| Unpayable::BrokenTerm)?;
    let before = |periods: i32| {
        matures
            .checked_sub((periods * period).months())
            .map_err(|_| Unpayable::BeyondTheCalendar)
    };
    // The month of the evaluation gives the number of periods but for the day of the month.
    let months = 12 * (i32::from(matures.year()) - i32::from(evaluated.year()))
        + i32::from(matures.month())
        - i32::from(evaluated.month());
    let mut payments = months / period;
    if before(payments)? > evaluated {
        payments += 1;
    }
    let (last, next) = (before(payments)?, before(payments - 1)?);
    let days = |from: Date, to: Date| Decimal::from((to - from).get_days());
    Ok(Schedule {
        payments: few_enough(payments)?,
        until_next: days(evaluated, next) / days(last, next),
    })
}

fn few_enough(payments: i32) -> Result<u32, Unpayable> {
    u32::try_from(payments)
        .ok()
        .filter(|payments| *payments <= MAX_PAYMENTS)
        .ok_or(Unpayable::TooManyPayments)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn years(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn a_term_is_whole_periods() {
        let whole = |payments| {
            Ok(Schedule {
                payments,
                until_next: Decimal::ONE,
            })
        };
        assert_eq!(of_term(years("10"), 1), whole(10));
        assert_eq!(of_term(years("2.5"), 2), whole(5));
        assert_eq!(of_term(years("2.5"), 1), Err(Unpayable::BrokenTerm));
        assert_eq!(of_term(years("0"), 1), Err(Unpayable::BrokenTerm));
        assert_eq!(of_term(years("-1"), 1), Err(Unpayable::BrokenTerm));
    }

    #[test]
    fn there_are_at_most_so_many_payments() {
        assert_eq!(of_term(years("100"), 12).unwrap().payments, MAX_PAYMENTS);
        for (term, frequency) in [
            ("100.25", 12),
            ("1201", 1),
            ("79228162514264337593543950335", 12),
        ] {
            assert_eq!(
                of_term(years(term), frequency),
                Err(Unpayable::TooManyPayments)
            );
        }
        assert_eq!(
            until(date(2026, 1, 1), date(2126, 1, 2), 12),
            Err(Unpayable::TooManyPayments)
        );
    }

    #[test]
    fn a_payment_on_the_evaluation_date_has_been_paid() {
        let schedule = until(date(2026, 3, 15), date(2028, 3, 15), 2).unwrap();
        assert_eq!((schedule.payments, schedule.until_next), (4, Decimal::ONE));
    }

    #[test]
    fn between_payments_the_days_are_counted() {
        // From 15 September 2025 to 15 March 2026 are 181 days, 59 of them still to come.
        let schedule = until(date(2026, 1, 15), date(2028, 3, 15), 2).unwrap();
        assert_eq!(schedule.payments, 5);
        assert_eq!(schedule.until_next, Decimal::from(59) / Decimal::from(181));
    }

    #[test]
    fn a_short_month_pays_on_its_last_day() {
        // Monthly until 31 May: paid on 31 March and 30 April.
        let schedule = until(date(2026, 4, 15), date(2026, 5, 31), 12).unwrap();
        assert_eq!(schedule.payments, 2);
        assert_eq!(schedule.until_next, Decimal::from(15) / Decimal::from(30));
    }

    #[test]
    fn a_matured_instrument_pays_no_more() {
        let day = date(2026, 1, 1);
        assert_eq!(until(day, day, 1), Err(Unpayable::Matured));
    }

    #[test]
    fn the_calendar_ends() {
        let (first, next) = (Date::MIN, Date::MIN.tomorrow().unwrap());
        assert_eq!(until(first, next, 1), Err(Unpayable::BeyondTheCalendar));
    }

    proptest! {
        #[test]
        fn the_next_payment_is_ahead_and_within_a_period(
            start in 0_i32..40_000, ahead in 1_i32..30_000, frequency in prop::sample::select(vec![1_u32, 2, 3, 4, 6, 12]),
        ) {
            let evaluated = date(1970, 1, 1).checked_add(start.days()).unwrap();
            let matures = evaluated.checked_add(ahead.days()).unwrap();
            let schedule = until(evaluated, matures, frequency).unwrap();
            prop_assert!(schedule.payments >= 1);
            prop_assert!(schedule.until_next > Decimal::ZERO && schedule.until_next <= Decimal::ONE);
        }
    }
}
