//! `xs:date` (XML Schema 1.1, part 2, section 3.3.9), and counting in it.

/// The most digits of a year: days are counted in 64 bits.
const MAX_YEAR_DIGITS: usize = 15;

/// A day of the Gregorian calendar, carried on in both directions; the year 0 is 1 BCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// Why a text is no date here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoDate {
    #[error("not a date like 2026-01-31")]
    Form,
    #[error("a date that no calendar has")]
    Day,
    #[error("a year of more than {MAX_YEAR_DIGITS} digits")]
    Year,
}

impl Date {
    /// The day of a date as it is written. A time zone is read, and changes nothing: a term sheet
    /// counts days, not hours.
    pub fn of(text: &str) -> Result<Self, NoDate> {
        let (text, sign) = match text.strip_prefix('-') {
            Some(rest) => (rest, -1),
            None => (text, 1),
        };
        let (year, rest) = text.split_once('-').ok_or(NoDate::Form)?;
        let (month, rest) = rest.split_once('-').ok_or(NoDate::Form)?;
        let (day, zone) = rest.split_at_checked(2).ok_or(NoDate::Form)?;
        let padded = year.len() > 4 && year.starts_with('0');
        if year.len() < 4 || padded || month.len() != 2 || !is_zone(zone) {
            return Err(NoDate::Form);
        }
        let (Some(month), Some(day)) = (digits(month), digits(day)) else {
            return Err(NoDate::Form);
        };
        if !year.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoDate::Form);
        }
        if year.len() > MAX_YEAR_DIGITS {
            return Err(NoDate::Year);
        }
        let year = sign * digits(year).ok_or(NoDate::Form)?;
        if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
            return Err(NoDate::Day);
        }
        Ok(Self { year, month, day })
    }

    /// How many months this date's month is after another's.
    pub fn months_since(self, other: Self) -> i64 {
        12 * (self.year - other.year) + self.month - other.month
    }

    /// The same day so many months before, or the last day of a month that is too short.
    pub fn months_before(self, months: i64) -> Self {
        let count = 12 * self.year + self.month - 1 - months;
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
        Self {
            year,
            month,
            day: self.day.min(days_in(year, month)),
        }
    }

    /// How many days this date is after another.
    pub fn days_since(self, other: Self) -> i64 {
        self.number() - other.number()
    }

    /// The days since 1 March of the year 0: a year that begins in March ends with its leap day.
    fn number(self) -> i64 {
        let (year, month) = if self.month > 2 {
            (self.year, self.month - 3)
        } else {
            (self.year - 1, self.month + 9)
        };
        let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        365 * year + leaps + (153 * month + 2) / 5 + self.day - 1
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number that ASCII digits make, and nothing else.
fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// No time zone, `Z`, or up to 14 hours to either side.
fn is_zone(text: &str) -> bool {
    if text.is_empty() || text == "Z" {
        return true;
    }
    let Some((hours, minutes)) = text
        .strip_prefix(['+', '-'])
        .and_then(|offset| offset.split_once(':'))
    else {
        return false;
    };
    if hours.len() != 2 || minutes.len() != 2 {
        return false;
    }
    match (digits(hours), digits(minutes)) {
        (Some(14), Some(minutes)) => minutes == 0,
        (Some(hours), Some(minutes)) => hours < 14 && minutes < 60,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_date_is_taken() {
        for text in [
            "2026-01-15",
            "2026-01-15Z",
            "2026-01-15+01:00",
            "2026-01-15-05:30",
            "2026-01-15+14:00",
            "2026-01-15-13:59",
        ] {
            assert_eq!(Date::of(text), Date::of("2026-01-15"), "{text}");
        }
        for text in [
            "0000-02-29",
            "-0004-02-29",
            "-0001-12-31",
            "12026-01-15",
            "-12026-01-15",
            "999999999999999-12-31",
            "-999999999999999-01-01",
        ] {
            assert!(Date::of(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_date() {
        for text in [
            "",
            "-",
            "20260115",
            "2026-1-15",
            "2026-01-5",
            "26-01-15",
            "026-01-15",
            "02026-01-15",
            "+2026-01-15",
            "--2026-01-15",
            "2026-01-15T00:00:00",
            "2026-01-15 ",
            "2026-01-15z",
            "2026-01-15+1:00",
            "2026-01-15+0100",
            "2026-01-15+14:01",
            "2026-01-15+15:00",
            "2026-01-15+01:60",
            "2026-01-15+01:00:00",
            "2026-01-15[Europe/Berlin]",
            "15.01.2026",
            "2026-01-1é",
            "２026-01-15",
            "2026-+1-15",
        ] {
            assert_eq!(Date::of(text), Err(NoDate::Form), "{text}");
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "-0001-02-29",
            "2026-00-01",
            "2026-13-01",
            "2026-04-31",
            "2026-01-00",
        ] {
            assert_eq!(Date::of(text), Err(NoDate::Day), "{text}");
        }
        assert_eq!(Date::of("1000000000000000-01-01"), Err(NoDate::Year));
    }

    #[test]
    fn days_are_counted_over_the_year_zero_and_the_end_of_four_digits() {
        let between =
            |from: &str, to: &str| Date::of(to).unwrap().days_since(Date::of(from).unwrap());
        assert_eq!(between("-0001-12-31", "0000-01-01"), 1);
        assert_eq!(between("0000-02-28", "0000-03-01"), 2);
        assert_eq!(between("9999-12-31", "10000-01-01"), 1);
        assert_eq!(between("-0400-01-01", "0000-01-01"), 146_097);
    }

    proptest! {
        #[test]
        fn day_counts_agree_with_another_calendar_library(from in -3_000_000_i64..2_900_000, days in 0_i64..100_000, months in 0_i64..1_200) {
            let theirs = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(from)).unwrap();
            let later = theirs.checked_add(jiff::Span::new().days(days));
            let ours = |date: jiff::civil::Date| Date {
                year: i64::from(date.year()), month: i64::from(date.month()), day: i64::from(date.day()),
            };
            if let Ok(later) = later {
                prop_assert_eq!(ours(later).days_since(ours(theirs)), days);
            }
            if let Ok(before) = theirs.checked_sub(jiff::Span::new().months(months)) {
                prop_assert_eq!(ours(theirs).months_before(months), ours(before));
            }
        }
    }
}
