//! Why settings cannot be used.

use super::Source;

/// Why the value of a setting is unusable, for a reason that its type cannot know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct Wrong {
    /// The setting.
    pub name: &'static str,
    /// The reason.
    pub reason: String,
}

impl Wrong {
    /// The error for this setting.
    #[must_use]
    pub fn new(name: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { name, reason }
    }
}

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
    /// A secret is set in two ways at once.
    #[error("{name} and {name}_FILE are both set ({source_name}): set one of them")]
    Twice {
        /// The setting.
        name: &'static str,
        /// The source of both.
        source_name: Source,
    },
    /// A secret is a flag.
    #[error(
        "--{}: every user of this machine can read a command line, so no secret belongs there: set \
         {name} in the environment, or name a file that has the value with --{}-file",
        flag(name),
        flag(name)
    )]
    OnCommandLine {
        /// The setting.
        name: &'static str,
    },
    /// A setting of an earlier version.
    #[error("{reason}")]
    Removed {
        /// The name of the setting, and its replacement.
        reason: String,
    },
    /// Nothing of this name can be set.
    #[error("{reason}")]
    Unknown {
        /// The name, and what is expected.
        reason: String,
    },
    /// Facts that this process sets are not those of its deployment.
    #[error("{}", .0.join("\n"))]
    OtherFacts(
        /// One text for each fact.
        Vec<String>,
    ),
    /// A credential that systemd gave to this service cannot be used.
    #[error("the credential {path} of systemd: {reason}")]
    Credential {
        /// The path of the credential.
        path: String,
        /// Why the credential cannot be used.
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

fn flag(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}
