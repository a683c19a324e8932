use std::process::ExitCode;

/// The outcome of a command that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The command found nothing wrong.
    Fine,
    /// The command found an inconsistency.
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

/// Why a command could not run, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The usage is wrong.
    #[error("{0}")]
    Usage(String),
    /// The question has no answer.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        use history::Error as History;
        ExitCode::from(match self {
            // The reader has read enough.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_)
            | Self::Output(_)
            | Self::History(History::Unsuitable(_) | History::Packing(_)) => 1,
            Self::History(History::Unreadable(_)) => 2,
            Self::History(History::NotFound(_)) => 3,
            Self::History(History::Unreachable(_)) => 5,
        })
    }

    /// The error for something that does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        history::Error::NotFound(message.into()).into()
    }
}

impl From<nats::Error> for Error {
    fn from(error: nats::Error) -> Self {
        Self::History(error.into())
    }
}

impl From<runtime::NoServer> for Error {
    fn from(error: runtime::NoServer) -> Self {
        Self::History(history::Error::Unreachable(error.to_string()))
    }
}

impl From<projections::Error> for Error {
    fn from(error: projections::Error) -> Self {
        Self::History(error.into())
    }
}
