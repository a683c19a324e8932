//! The `x-*` headers of a submission, which the log keeps with the request.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use runtime::{ApiConfig, MetadataHeaders};

use crate::http::problem::Problem;

/// The headers that the API keeps, and how much of them.
#[derive(Clone, Debug)]
pub struct Kept {
    headers: MetadataHeaders,
    count_max: usize,
    value_max_bytes: usize,
}

impl From<&ApiConfig> for Kept {
    fn from(config: &ApiConfig) -> Self {
        Self {
            headers: config.metadata_headers.clone(),
            count_max: config.metadata_count_max,
            value_max_bytes: config.metadata_value_max_bytes,
        }
    }
}

impl Kept {
    /// The kept headers, with names in lower case, and the callback beside them. The values of a
    /// repeated header are joined (RFC 9110, section 5.3). A value that is not UTF-8 is refused,
    /// because its meaning is unknown.
    pub fn of(&self, headers: &HeaderMap) -> Result<BTreeMap<String, String>, Problem> {
        let mut kept = BTreeMap::new();
        for name in headers.keys() {
            let is_callback = name.as_str() == CALLBACK;
            if !is_callback && !self.headers.keep(name.as_str()) {
                continue;
            }
            let values = headers.get_all(name).iter();
            let values = values.map(|value| text(name, value));
            let value = values.collect::<Result<Vec<&str>, _>>()?.join(", ");
            // The check of a callback has a limit of its own.
            if !is_callback && value.len() > self.value_max_bytes {
                let most = self.value_max_bytes;
                return Err(refused(format!("the header {name} has over {most} bytes")));
            }
            kept.insert(name.to_string(), value);
        }
        let own = kept.keys().filter(|name| *name != CALLBACK).count();
        if own > self.count_max {
            let most = self.count_max;
            return Err(refused(format!(
                "{own} headers would be kept, but at most {most} are"
            )));
        }
        Ok(kept)
    }
}

fn refused(message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-metadata", message)
}

fn text<'v>(name: &HeaderName, value: &'v HeaderValue) -> Result<&'v str, Problem> {
    std::str::from_utf8(value.as_bytes())
        .map_err(|_| refused(format!("the header {name} is not in UTF-8")))
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

    fn of(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Problem> {
        let kept = Kept {
            headers: "x-*".parse().unwrap(),
            count_max: 32,
            value_max_bytes: 1_024,
        };
        kept.of(headers)
    }

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

    #[test]
    fn metadata_has_a_number_and_a_size_and_the_callback_counts_for_neither() {
        let long = vec![b'a'; 1_024];
        assert!(of(&headers(&[("x-desk", &long)])).is_ok());
        let longer = vec![b'a'; 1_025];
        assert!(of(&headers(&[("x-desk", &longer)])).is_err());
        let halves = [("x-desk", &long[..512]), ("x-desk", &long[..512])];
        assert!(of(&headers(&halves)).is_err(), "joined they are longer");
        assert!(of(&headers(&[("x-callback", &longer)])).is_ok());
        let many = |count: usize| {
            let mut many = headers(&[("x-callback", b"https://a.example/")]);
            for number in 0..count {
                let name = HeaderName::try_from(format!("x-{number}")).unwrap();
                many.insert(name, HeaderValue::from_static("a"));
            }
            of(&many)
        };
        assert_eq!(many(32).unwrap().len(), 33);
        assert!(many(33).is_err());
    }
}
