//! What a setting is, and who set it.

use std::fmt;

/// The part of the program that a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where the servers are.
    Connections,
    /// What every role must share.
    Deployment,
    /// The HTTP API.
    Api,
    /// The worker.
    Worker,
    /// Fetching what documents refer to.
    References,
    /// Webhooks.
    Webhooks,
    /// Every process.
    Process,
}

impl Part {
    /// Every part, in the order in which they are documented.
    pub const ALL: [Self; 7] = [
        Self::Connections,
        Self::Deployment,
        Self::Api,
        Self::Worker,
        Self::References,
        Self::Webhooks,
        Self::Process,
    ];

    /// What the part is, as a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Connections => "Servers",
            Self::Deployment => "Deployment (set the same values for every role)",
            Self::Api => "HTTP API",
            Self::Worker => "Worker",
            Self::References => "References (orchestrator)",
            Self::Webhooks => "Webhooks",
            Self::Process => "Every process",
        }
    }
}

/// One setting as it is documented, and as `fanfold config` prints it.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The part of the program that it belongs to.
    pub part: Part,
    /// Its name in the environment; the file has it in lower case, the flag with dashes.
    pub name: &'static str,
    /// The value it has when nobody sets it.
    pub default: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Whether its value is masked when it is printed.
    pub secret: bool,
}

impl Definition {
    /// The name of its flag, without the dashes before it.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.to_lowercase().replace('_', "-")
    }

    /// Its name in the file.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.to_lowercase()
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The TOML file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}
