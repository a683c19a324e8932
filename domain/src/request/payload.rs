use serde::{Deserialize, Serialize};

/// A document, result or response: in the event itself, or by reference to the object store
/// when it is too big to ride inline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// The text itself.
    Inline(Box<str>),
    /// The SHA-256 of the bytes in lower-case hex, under which the object store has them,
    /// and their number.
    Stored {
        /// The content address.
        sha256: String,
        /// The size in bytes before compression.
        size: u64,
    },
}

impl Payload {
    /// The text, where it rides inline.
    #[must_use]
    pub fn inline(&self) -> Option<&str> {
        match self {
            Self::Inline(text) => Some(text),
            Self::Stored { .. } => None,
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(text) => text.len() as u64,
            Self::Stored { size, .. } => *size,
        }
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::Inline(text.into())
    }
}
