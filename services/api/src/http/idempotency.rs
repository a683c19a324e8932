//! The `Idempotency-Key` header: a caller's name for one submission.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::http::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in characters.
pub const KEY_MAX_CHARS: usize = 255;

/// The key of a submission, if it has one. It may be plain, or quoted as in the IETF draft. Both
/// forms name the same key.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed("it is given more than once"));
    }
    let key = match value.as_bytes() {
        [b'"', quoted @ ..] => {
            unquote(quoted).ok_or_else(|| malformed("its quotes do not match"))?
        }
        plain => plain.to_vec(),
    };
    if key.is_empty() || key.len() > KEY_MAX_CHARS {
        return Err(malformed(&format!("it has {} characters", key.len())));
    }
    if !key.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Err(malformed("it has characters that are not printable ASCII"));
    }
    String::from_utf8(key)
        .map(Some)
        .map_err(|_| malformed("it is no text"))
}

/// The text between the quotes; `None` when the quotes do not enclose the whole value.
fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return bytes.next().is_none().then_some(key),
            b'\\' => key.push(*bytes.next().filter(|byte| matches!(byte, b'"' | b'\\'))?),
            other => key.push(*other),
        }
    }
    None
}

fn malformed(what: &str) -> Problem {
    let message = format!(
        "the Idempotency-Key cannot be used: {what}; 1 to {KEY_MAX_CHARS} printable ASCII \
         characters are expected"
    );
    Problem::new(StatusCode::BAD_REQUEST, "invalid-idempotency-key", message)
}

/// Marks an answer to say that the request existed already.
pub fn replayed(mut response: Response) -> Response {
    let said = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, said);
    response
}

/// Whether an answer says that the request existed already.
pub fn is_replayed(response: &Response) -> bool {
    response.headers().contains_key(REPLAYED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(KEY, HeaderValue::from_bytes(value).unwrap());
        key(&headers)
    }

    #[test]
    fn plain_and_quoted_forms_name_the_same_key() {
        for value in ["8e03978e-40d5", "\"8e03978e-40d5\""] {
            assert_eq!(read(value.as_bytes()).unwrap().unwrap(), "8e03978e-40d5");
        }
        assert_eq!(read(br#""a\"b\\c""#).unwrap().unwrap(), r#"a"b\c"#);
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn an_invalid_idempotency_key_is_refused() {
        let long = "k".repeat(KEY_MAX_CHARS + 1);
        for value in [
            "",
            "\"\"",
            "\"a",
            "\"a\"b",
            "a\tb",
            r#""a\x""#,
            long.as_str(),
        ] {
            assert!(read(value.as_bytes()).is_err(), "{value}");
        }
        assert!(read("schlüssel".as_bytes()).is_err());
        assert!(read("k".repeat(KEY_MAX_CHARS).as_bytes()).is_ok());
    }
}
