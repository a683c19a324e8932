use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identity of a bulk operation: a `UUIDv7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(Uuid);

/// The error for a text that is not the id of a bulk operation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not the id of an operation: a UUID is expected")]
pub struct InvalidOperationId(pub String);

impl OperationId {
    /// Makes an id from an existing UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for OperationId {
    type Err = InvalidOperationId;

    fn from_str(text: &str) -> Result<Self, InvalidOperationId> {
        // Only the hyphenated form is an id: one operation has one spelling in URLs and subjects.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
            _ => Err(InvalidOperationId(text.chars().take(80).collect())),
        }
    }
}
