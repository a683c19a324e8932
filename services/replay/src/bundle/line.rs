//! The lines of a bundle: its form.

use domain::request::{Event, RequestId, TaskId, TraceParent};
use jiff::Timestamp;
use nats::DeadLetter;
use serde::{Deserialize, Serialize};

/// The version of the form.
pub const VERSION: u32 = 1;

/// One line of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    Bundle(Header),
    Commit(StoredCommit),
    Payload(StoredPayload),
    DeadLetter(DeadLetter),
    Task(StoredTask),
    End { lines: usize, sha256: String },
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub version: u32,
    /// The version of the program that wrote it.
    pub program: String,
    pub created_at: Timestamp,
    /// Whether the text of documents is masked.
    pub redacted: bool,
    pub rules: Rules,
}

/// The rules that the requests were decided under, as far as they were configured where the
/// bundle was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    pub fail_fast: bool,
}

/// A commit as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredCommit {
    pub request: RequestId,
    pub sequence: u64,
    pub previous: u64,
    pub at: Timestamp,
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<TraceParent>,
    pub events: Vec<Event>,
}

/// The bytes of a stored payload: a text, or hex where they are none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPayload {
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// The hash of a task document as it was made where the bundle was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTask {
    pub task: TaskId,
    pub sha256: String,
}

impl Header {
    pub fn new(redacted: bool, rules: Rules) -> Self {
        Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: Timestamp::now(),
            redacted,
            rules,
        }
    }
}

impl StoredPayload {
    /// Its bytes.
    pub fn bytes(self) -> Result<Vec<u8>, &'static str> {
        match (self.text, self.hex) {
            (Some(text), _) => Ok(text.into_bytes()),
            (None, Some(hex)) => unhex(&hex).ok_or("a payload is no hex"),
            (None, None) => Err("a payload has no bytes"),
        }
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    // A number may also be written with a sign, and by one digit.
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::unhex;

    #[test]
    fn hex_is_pairs_of_digits_and_nothing_else() {
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        for none in ["f", "+f", "0g", "é"] {
            assert_eq!(unhex(none), None, "{none}");
        }
    }
}
