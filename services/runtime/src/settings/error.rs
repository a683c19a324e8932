//! Why settings cannot be used.

use super::Source;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that is no value of its setting.
    #[error("{name}='{value}' ({source_name}): {reason}")]
    Value {
        /// The setting.
        name: String,
        /// What it was set to.
        value: String,
        /// Who set it.
        source_name: Source,
        /// Why that cannot be.
        reason: String,
    },
    /// A setting of an earlier version.
    #[error("{reason}")]
    Removed {
        /// Which, and what to do instead.
        reason: String,
    },
    /// The file cannot be used.
    #[error("the settings file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}
