//! Points in the life of a request and in time, and how people write them.

use domain::request::Sequence;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use nats::Commit;

/// A point in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The commit of this sequence.
    Sequence(Sequence),
    /// This time.
    Time(Timestamp),
    /// This long before now.
    Before(SignedDuration),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(sequence));
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        text.strip_prefix('-')
            .and_then(|ago| ago.parse().ok())
            .map(Self::Before)
            .ok_or_else(|| {
                format!(
                    "'{text}' is no point: a sequence such as 1042, a time such as \
                     2026-11-24T10:00:00Z, or so long ago such as -5m is expected"
                )
            })
    }
}

impl Point {
    /// Whether a commit is at or before this point.
    #[must_use]
    pub fn includes(self, commit: &Commit, now: Timestamp) -> bool {
        match self {
            Self::Sequence(sequence) => commit.sequence <= sequence,
            Self::Time(time) => commit.at <= time,
            Self::Before(ago) => now.checked_sub(ago).is_ok_and(|then| commit.at <= then),
        }
    }
}

/// The start of a period: a time, or an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ago {
    /// This time.
    Time(Timestamp),
    /// This long before now.
    Before(SignedDuration),
}

impl FromStr for Ago {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        let text = text.trim_start_matches('-');
        // Days are 24 hours here: nobody on call thinks of clock changes.
        let hours = text.strip_suffix('d').and_then(|days| days.parse().ok());
        hours
            .map(|days: i64| SignedDuration::from_hours(days.saturating_mul(24)))
            .or_else(|| text.parse().ok())
            .map(Self::Before)
            .ok_or_else(|| {
                format!("'{text}' is no period: 1h, 30m, 7d, or a time such as 2026-11-24T10:00:00Z is expected")
            })
    }
}

impl Ago {
    /// The absolute time, relative to now.
    #[must_use]
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Before(ago) => now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_sequence_a_time_or_an_age() {
        assert_eq!("42".parse(), Ok(Point::Sequence(Sequence::new(42))));
        let five = SignedDuration::from_mins(5);
        assert_eq!("-5m".parse(), Ok(Point::Before(five)));
        let time = "2026-11-24T10:00:00Z";
        assert_eq!(time.parse(), Ok(Point::Time(time.parse().unwrap())));
        assert!("soon".parse::<Point>().is_err());
        let week = SignedDuration::from_hours(168);
        assert_eq!("7d".parse(), Ok(Ago::Before(week)));
    }
}
