//! The time at which a service wants the next call.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;

/// The longest delay taken from a service: one hour. A longer one is cut to this, so that a wrong
/// clock or a slip of the pen does not put a task off for ever.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The delay that a `Retry-After` asks for; `None` if it cannot be read or lies in the past.
pub(super) fn delay(value: &HeaderValue) -> Option<Duration> {
    delay_from(value.to_str().ok()?, SystemTime::now())
}

fn delay_from(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let delay = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a delay all the same, and a long one.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .ok()?
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        // 784111777 is the example of RFC 9110.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let delay = |text| delay_from(text, at(784_111_777 - 30));
        assert_eq!(delay(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(delay(date), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_delay_has_an_end() {
        for text in [
            "3601",
            "99999999999999999999999",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(delay_from(text, at(0)), Some(MAX_RETRY_AFTER), "{text}");
        }
        assert_eq!(delay_from("3600", at(0)), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn a_date_gone_by_or_nonsense_asks_for_nothing() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "", "-5", "1.5"] {
            assert_eq!(delay_from(text, at(800_000_000)), None, "{text}");
        }
    }
}
