//! The `x-*` headers of a submission, which the log keeps with the request.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::problem::Problem;

/// Headers that are known to carry credentials. They are meant for a proxy in front of the API.
/// Everyone who may read a request sees the metadata that it keeps.
const CREDENTIALS: [&str; 7] = [
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-authorization",
    "x-csrf-token",
    "x-goog-iam-authorization-token",
];

/// The `x-*` headers, with names in lower case, without those that carry credentials. The values of
/// a repeated header are joined (RFC 9110, section 5.3). A value that is not UTF-8 is refused,
/// because its meaning is unknown.
pub fn of(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Problem> {
    headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-"))
        .filter(|name| !CREDENTIALS.contains(&name.as_str()))
        .map(|name| {
            let values = headers.get_all(name).iter();
            let values = values.map(|value| text(name, value));
            let values: Vec<&str> = values.collect::<Result<_, _>>()?;
            Ok((name.to_string(), values.join(", ")))
        })
        .collect()
}

fn text<'v>(name: &HeaderName, value: &'v HeaderValue) -> Result<&'v str, Problem> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| {
        let message = format!("the header {name} is not in UTF-8");
        Problem::new(StatusCode::BAD_REQUEST, "invalid-metadata", message)
    })
}

/// The header with the URL of the webhook that tells how the request ended.
const CALLBACK: &str = "x-callback";

/// Refuses a callback that can never be called. The webhook sender repeats the check before each
/// call, with the addresses that the host name has then.
pub fn check_callback(
    metadata: &BTreeMap<String, String>,
    signed: bool,
    allow_private: bool,
) -> Result<(), Problem> {
    let Some(callback) = metadata.get(CALLBACK) else {
        return Ok(());
    };
    let why = match runtime::callback(callback, allow_private) {
        Ok(_) if signed => return Ok(()),
        Ok(_) => "the server has no WEBHOOK_SECRET to sign it with",
        Err(why) => why,
    };
    let message = format!("the callback '{callback}' can never be called: {why}");
    let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid-callback", message);
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let value = HeaderValue::from_bytes(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn metadata_is_stored_unchanged() {
        let headers = headers(&[
            ("x-tag", b"a"),
            ("x-desk", "Z\u{fc}rich".as_bytes()),
            ("x-tag", b"b, c"),
            ("x-empty", b""),
            ("content-type", b"text/xml"),
        ]);
        let metadata = of(&headers).unwrap();
        let expected = [
            ("x-desk", "Z\u{fc}rich"),
            ("x-empty", ""),
            ("x-tag", "a, b, c"),
        ];
        let metadata: Vec<(&str, &str)> = metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(metadata, expected);
    }

    #[test]
    fn metadata_in_another_encoding_is_refused_and_other_headers_are_ignored() {
        assert!(of(&headers(&[("x-desk", b"Z\xfcrich")])).is_err());
        assert!(of(&headers(&[("x-a", b"a"), ("x-a", b"\xff")])).is_err());
        assert!(
            of(&headers(&[("y-desk", b"Z\xfcrich")]))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn two_callback_headers_count_as_none() {
        let headers = headers(&[
            ("x-callback", b"https://a.example/"),
            ("x-callback", b"https://b.example/"),
        ]);
        let metadata = of(&headers).unwrap();
        assert!(check_callback(&metadata, true, true).is_err());
    }

    #[test]
    fn a_callback_that_nobody_signs_can_never_be_called() {
        let metadata = of(&headers(&[("x-callback", b"https://a.example.com/")])).unwrap();
        assert!(check_callback(&metadata, true, false).is_ok());
        assert!(check_callback(&metadata, false, false).is_err());
        assert!(check_callback(&BTreeMap::new(), false, false).is_ok());
    }

    #[test]
    fn credentials_are_not_kept() {
        let headers = headers(&[("x-api-key", b"hunter2"), ("x-desk", b"rates")]);
        let metadata = of(&headers).unwrap();
        let names: Vec<&str> = metadata.keys().map(String::as_str).collect();
        assert_eq!(names, ["x-desk"]);
    }
}
