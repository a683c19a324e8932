use jiff::{SignedDuration, Timestamp};

/// The error for a text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time: say 2026-01-31T08:00:00Z, or an age such as 90s, 30m, 2h or 7d")]
pub struct InvalidSince(pub String);

/// Parses a time as people write it: a timestamp, or an age before `now`.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, InvalidSince> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let invalid = || InvalidSince(text.chars().take(80).collect());
    let unit = text.chars().next_back().ok_or_else(invalid)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(invalid()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| invalid())?;
    let age = number.checked_mul(seconds).ok_or_else(invalid)?;
    if age < 0 {
        return Err(invalid());
    }
    now.checked_sub(SignedDuration::from_secs(age))
        .map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_timestamp_or_an_age() {
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-30T08:00:00Z", "2026-01-30T08:00:00Z"),
            ("90s", "2026-01-31T07:58:30Z"),
            ("2h", "2026-01-31T06:00:00Z"),
            ("7d", "2026-01-24T08:00:00Z"),
        ] {
            assert_eq!(since(text, now).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "h",
            "2",
            "2w",
            "-2h",
            "é",
            "99999999999999d",
            "yesterday",
        ] {
            assert!(since(text, now).is_err(), "{text}");
        }
    }
}
