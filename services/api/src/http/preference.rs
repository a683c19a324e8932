//! `Prefer: wait=N` (RFC 7240): how long a caller is willing to wait for its answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long a caller prefers to wait, never longer than `most`. An invalid preference is ignored.
pub fn wait(headers: &HeaderMap, most: Duration) -> Option<Duration> {
    headers
        .get_all(PREFER)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .find_map(seconds)
        .map(|seconds| Duration::from_secs(seconds).min(most))
}

fn seconds(preference: &str) -> Option<u64> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    let value = value.trim().trim_matches('"');
    let wait = name.trim().eq_ignore_ascii_case("wait");
    wait.then(|| value.parse().ok())?
}

/// Marks an answer to say that the server applied the preference.
pub fn applied(mut response: Response, wait: Option<Duration>) -> Response {
    if let Some(wait) = wait
        && let Ok(value) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
    {
        response.headers_mut().insert(PREFERENCE_APPLIED, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_readable_wait_counts_and_is_bounded() {
        let most = Duration::from_mins(2);
        for (text, seconds) in [
            ("wait=5", Some(5)),
            ("respond-async, Wait = 7", Some(7)),
            ("wait=\"3\"; x=y", Some(3)),
            ("wait=9999", Some(120)),
            ("wait=-1", None),
            ("wait", None),
            ("return=minimal", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, text.parse().unwrap());
            assert_eq!(
                wait(&headers, most),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
