//! Numbers, times and durations as people read them.

use jiff::{SignedDuration, Timestamp};

/// Cuts a text to this width, on one line.
#[must_use]
pub fn short(text: &str, width: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A duration with a unit that fits it.
#[must_use]
pub fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis();
    let (sign, millis) = if millis < 0 {
        ("-", -millis)
    } else {
        ("", millis)
    };
    let text = match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
        3_600_000..86_400_000 => {
            format!(
                "{} h {} min",
                millis / 3_600_000,
                millis % 3_600_000 / 60_000
            )
        }
        _ => format!(
            "{} d {} h",
            millis / 86_400_000,
            millis % 86_400_000 / 3_600_000
        ),
    };
    format!("{sign}{text}")
}

/// A number of milliseconds with a unit that fits it.
#[must_use]
pub fn millis(millis: u64) -> String {
    duration(SignedDuration::from_millis(
        i64::try_from(millis).unwrap_or(i64::MAX),
    ))
}

/// The time from one timestamp to the other, with its unit.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> String {
    duration(to.duration_since(from))
}

/// A time to the millisecond.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

/// A time of day to the millisecond.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// A number with its noun, in the singular for one.
#[must_use]
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_unit_that_fits_it() {
        let of = |ms| duration(SignedDuration::from_millis(ms));
        assert_eq!(
            [of(7), of(1_250), of(61_000), of(3_660_000), of(90_000_000)],
            ["7 ms", "1.2 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}
