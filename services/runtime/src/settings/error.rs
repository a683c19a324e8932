//! Why settings cannot be used.

use super::Source;

/// The error for an unusable setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The value is not valid for its setting.
    #[error("{name}='{value}' ({source_name}): {reason}")]
    Value {
        /// The setting.
        name: String,
        /// The value that was set.
        value: String,
        /// The source of the value.
        source_name: Source,
        /// Why the value is not valid.
        reason: String,
    },
    /// A setting of an earlier version.
    #[error("{reason}")]
    Removed {
        /// The name of the setting, and its replacement.
        reason: String,
    },
    /// The settings file cannot be used.
    #[error("the settings file {path}: {reason}")]
    File {
        /// The path of the file.
        path: String,
        /// Why the file cannot be used.
        reason: String,
    },
}
