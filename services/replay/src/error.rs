use std::process::ExitCode;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is nothing wrong.
    Fine,
    /// Something is not as it should be.
    Found,
}

impl From<Finding> for ExitCode {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Fine => Self::SUCCESS,
            Finding::Found => Self::from(2),
        }
    }
}

/// Why a command could not do what it was asked, by what whoever asked can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ask otherwise.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing, or not any more.
    #[error("{0}")]
    NotFound(String),
    /// A server does not answer: try again, or say where it is.
    #[error("{0}")]
    Unreachable(String),
    /// What is stored cannot be read: that is a finding.
    #[error("{0}")]
    Unreadable(String),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            // Whoever reads has read enough.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_) | Self::Output(_) => 1,
            Self::Unreadable(_) => 2,
            Self::NotFound(_) => 3,
            Self::Unreachable(_) => 5,
        })
    }
}

impl From<nats::Error> for Error {
    fn from(error: nats::Error) -> Self {
        let text = error.to_string();
        match error {
            nats::Error::Missing(_) => Self::NotFound(text),
            nats::Error::Corrupt { .. } => Self::Unreadable(text),
            nats::Error::Unsuitable(_) | nats::Error::TooLarge { .. } => Self::Usage(text),
            _ => Self::Unreachable(text),
        }
    }
}

impl From<runtime::NoServer> for Error {
    fn from(error: runtime::NoServer) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<projections::Error> for Error {
    fn from(error: projections::Error) -> Self {
        match error {
            projections::Error::Unavailable(reason) => {
                Self::Unreachable(format!("Redis does not answer: {reason}"))
            }
            error @ (projections::Error::Refused(_) | projections::Error::Corrupt { .. }) => {
                Self::Unreadable(error.to_string())
            }
        }
    }
}
