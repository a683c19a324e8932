//! When an instrument still pays, as seen from the evaluation date.

use rust_decimal::Decimal;

use super::date::Date;

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
        payments: few_enough(i64::try_from(payments).map_err(|_| Unpayable::TooManyPayments)?)?,
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
    let period = 12 / i64::from(frequency);
    let before = |periods: i64| matures.months_before(periods * period);
    // The month of the evaluation gives the number of periods but for the day of the month.
    let mut payments = matures.months_since(evaluated) / period;
    if before(payments) > evaluated {
        payments += 1;
    }
    let (last, next) = (before(payments), before(payments - 1));
    let days = |from: Date, to: Date| Decimal::from(to.days_since(from));
    Ok(Schedule {
        payments: few_enough(payments)?,
        until_next: days(evaluated, next) / days(last, next),
    })
}

fn few_enough(payments: i64) -> Result<u32, Unpayable> {
    u32::try_from(payments)
        .ok()
        .filter(|payments| *payments <= MAX_PAYMENTS)
        .ok_or(Unpayable::TooManyPayments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(year: i16, month: i8, day: i8) -> Date {
        Date::of(&jiff::civil::date(year, month, day).to_string()).unwrap()
    }

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
    fn the_number_of_payments_is_limited() {
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
    fn no_year_is_the_last() {
        let of = |text: &str| Date::of(text).unwrap();
        for (evaluated, matures) in [
            ("9999-06-30", "10001-06-30"),
            ("-0001-06-30", "0001-06-30"),
            ("-999999999999999-06-30", "-999999999999997-06-30"),
        ] {
            let schedule = until(of(evaluated), of(matures), 1).unwrap();
            assert_eq!((schedule.payments, schedule.until_next), (2, Decimal::ONE));
        }
        assert_eq!(
            until(
                of("-999999999999999-01-01"),
                of("999999999999999-01-01"),
                12
            ),
            Err(Unpayable::TooManyPayments)
        );
    }

    proptest! {
        #[test]
        fn the_next_payment_is_ahead_and_within_a_period(
            start in 0_i32..40_000, ahead in 1_i32..30_000, frequency in prop::sample::select(vec![1_u32, 2, 3, 4, 6, 12]),
        ) {
            let after = |days: i32| {
                let day = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
                Date::of(&day.unwrap().to_string()).unwrap()
            };
            let (evaluated, matures) = (after(start), after(start + ahead));
            let schedule = until(evaluated, matures, frequency).unwrap();
            prop_assert!(schedule.payments >= 1);
            prop_assert!(schedule.until_next > Decimal::ZERO && schedule.until_next <= Decimal::ONE);
        }
    }
}
