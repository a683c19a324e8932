//! The format of a bundle, line by line.

use domain::access::Tenant;
use domain::request::{Event, RequestId, Sequence, TaskId, TraceParent};
use jiff::Timestamp;
use nats::DeadLetter;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const VERSION: u32 = 1;

/// One line of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// The first line.
    Bundle(Header),
    /// A commit.
    Commit(StoredCommit),
    /// A payload that the log refers to.
    Payload(StoredPayload),
    /// A dead letter.
    DeadLetter(DeadLetter),
    /// The hash of a task document.
    Task(StoredTask),
    /// The last line.
    End {
        /// The number of lines before it.
        lines: usize,
        /// Their SHA-256, in hex.
        sha256: String,
    },
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of the format.
    pub version: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The time at which the bundle was written.
    pub created_at: Timestamp,
    /// Whether the text of documents is masked.
    pub redacted: bool,
    /// The rules of the requests.
    pub rules: Rules,
}

/// The rules under which the requests were decided, as configured where the bundle was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// Whether a request failed as soon as one of its tasks was given up.
    pub fail_fast: bool,
}

/// A commit as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredCommit {
    /// The request.
    pub request: RequestId,
    /// The sequence in its stream.
    pub sequence: Sequence,
    /// The sequence of the request's commit before it, or 0.
    pub previous: Sequence,
    /// The time at which it was stored.
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    /// The tenant of the request.
    pub tenant: Tenant,
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    /// The traceparent of the caller.
    pub traceparent: Option<TraceParent>,
    /// The events.
    pub events: Vec<Event>,
}

/// The bytes of a stored payload: a text if they are UTF-8, otherwise hex.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPayload {
    /// The SHA-256 of the bytes, in hex.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The bytes, if they are UTF-8.
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The bytes in hex, if they are not UTF-8.
    pub hex: Option<String>,
}

/// The hash of a task document, as made where the bundle was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTask {
    /// The task.
    pub task: TaskId,
    /// The SHA-256 of its document, in hex.
    pub sha256: String,
}

impl Header {
    /// A header of this build, written now.
    #[must_use]
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
    /// The bytes of the payload.
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
