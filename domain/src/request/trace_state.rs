use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The most bytes of a tracestate. W3C Trace Context asks that at least so many are passed on.
const MAX_BYTES: usize = 512;
/// The most members of a tracestate (Trace Context, section 3.3.1.1).
const MEMBERS_MAX: usize = 32;

/// What the tracing systems of the caller say of a trace beside its ids, in the form of the W3C Trace
/// Context header `tracestate`. Fanfold passes it on unchanged. An example is `rojo=00f067aa,ot=th:8`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TraceState(String);

/// The error for a text that is not a valid tracestate. The receiver ignores it and continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tracestate: members key=value, separated by commas, are expected")]
pub struct InvalidTraceState;

impl TraceState {
    /// Deserializes a stored tracestate. An invalid one becomes `None`, so that a bad header cannot
    /// make a request unreadable.
    pub fn or_none<'de, D: Deserializer<'de>>(stored: D) -> Result<Option<Self>, D::Error> {
        let text = Option::<String>::deserialize(stored)?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The header itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TraceState {
    type Err = InvalidTraceState;

    fn from_str(text: &str) -> Result<Self, InvalidTraceState> {
        let is_printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
        if text.len() > MAX_BYTES || !text.bytes().all(is_printable) {
            return Err(InvalidTraceState);
        }
        let members = text.split(',').map(str::trim);
        let members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
        let is_member = |member: &&str| {
            let parts = member.split_once('=');
            parts.is_some_and(|(key, value)| {
                let begins = |key: &str| key.starts_with(|c: char| c.is_ascii_alphanumeric());
                let is_of_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
                begins(key) && key.bytes().all(is_of_key) && !value.is_empty() && !value.contains('=')
            })
        };
        if members.is_empty() || members.len() > MEMBERS_MAX || !members.iter().all(is_member) {
            return Err(InvalidTraceState);
        }
        Ok(Self(members.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let read = text.parse::<TraceState>();
        read.ok().map(|state| state.to_string())
    }

    #[test]
    fn the_members_of_a_tracestate_are_kept_in_their_order() {
        for (text, kept) in [
            ("rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"),
            (
                "a@b=1, ot=th:8;rv:9b8233f7e3a151 ,",
                "a@b=1,ot=th:8;rv:9b8233f7e3a151",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Some(kept));
        }
    }

    #[test]
    fn an_invalid_tracestate_is_refused() {
        let long = format!("a={}", "x".repeat(MAX_BYTES));
        let many = vec!["a=1"; MEMBERS_MAX + 1].join(",");
        for text in [
            "",
            ",",
            "a",
            "=1",
            "a=",
            "A=1",
            "a=1=2",
            "a=\r\nx: y",
            "a=é",
            &long,
            &many,
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
