//! Why a keys file cannot be used.

use std::fmt;
use std::path::Path;

/// Why a keys file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("the keys file {path}: {reason}")]
    File {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A line is none of a key.
    #[error("line {line} of the keys: {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// Why. It repeats nothing of the line but names of grants.
        reason: String,
    },
    /// Random bits cannot be had.
    #[error("this machine gives no random bits")]
    Random,
}

impl KeysError {
    pub(super) fn unreadable(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }
}
