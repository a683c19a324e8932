//! The definition of a setting, and the source of its value.

use std::fmt;
use std::str::FromStr;

/// The part of the program that a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The addresses of the servers.
    Connections,
    /// Settings that all roles must share.
    Deployment,
    /// The HTTP API.
    Api,
    /// Who may call.
    Callers,
    /// The worker.
    Worker,
    /// Fetching the resources that documents refer to.
    References,
    /// Webhooks.
    Webhooks,
    /// Traces.
    Traces,
    /// Settings of every process.
    Process,
}

impl Part {
    /// Every part, in the order in which they are documented.
    pub const ALL: [Self; 9] = [
        Self::Connections,
        Self::Deployment,
        Self::Api,
        Self::Callers,
        Self::Worker,
        Self::References,
        Self::Webhooks,
        Self::Traces,
        Self::Process,
    ];

    /// The heading of this part.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Connections => "Servers",
            Self::Deployment => "Deployment (stored with the log, and the same for every role)",
            Self::Api => "HTTP API",
            Self::Callers => "Callers (the API, and the admin listener of every process)",
            Self::Worker => "Worker",
            Self::References => "References (orchestrator)",
            Self::Webhooks => "Webhooks",
            Self::Traces => "Traces (orchestrator, tracer)",
            Self::Process => "Every process",
        }
    }
}

/// How secret the value of a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It may be shown.
    Open,
    /// It is a URL, or several, whose credentials are masked wherever it is shown.
    Url,
    /// It is masked wherever it is shown.
    Secret,
}

/// One setting, as the documents and `fanfold config` present it.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The part of the program that the setting belongs to.
    pub part: Part,
    /// The name in the environment. The file has it in lower case, and the flag has dashes.
    pub name: &'static str,
    /// The value if nobody sets it.
    pub default: &'static str,
    /// The meaning of the setting, with its unit.
    pub about: &'static str,
    /// How secret the value is. A value that is not open may also be in a file or be a credential
    /// of systemd.
    pub secrecy: Secrecy,
    /// The canonical form of a value.
    pub(super) canonical: fn(&str) -> Result<String, String>,
}

/// The canonical form of a value of this type: equal values have equal forms.
pub(super) fn canonical<T: FromStr<Err: fmt::Display> + fmt::Display>(
    value: &str,
) -> Result<String, String> {
    let value: T = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(value.to_string())
}

impl Definition {
    /// The name of the flag, without the leading dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.to_lowercase().replace('_', "-")
    }

    /// The name, in the environment, of the setting with the path of a file that has the value.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}_FILE", self.name)
    }

    /// What may be shown of a value.
    #[must_use]
    pub fn shown(&self, value: &str) -> String {
        super::secret::shown(self.secrecy, value)
    }

    /// The name in the file.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.to_lowercase()
    }
}

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The facts that are stored with the log.
    Deployment,
    /// The credentials that systemd gave to this service.
    Credential,
    /// The TOML file.
    File,
    /// The file that the setting `…_FILE` names.
    SecretFile,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Deployment => "deployment",
            Self::Credential => "systemd credential",
            Self::File => "file",
            Self::SecretFile => "secret file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}
