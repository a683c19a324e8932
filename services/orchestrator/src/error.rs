use domain::FailureCode;
use domain::request::{Failure, Rejection};
use runtime::Unfinished;

/// Why work on a request failed, by how the caller must handle it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A retry may help; the broker redelivers the message.
    #[error("{0}")]
    Later(String),
    /// The request cannot go on; it fails with this failure.
    #[error("{}", .0.message)]
    Fails(Box<Failure>),
    /// The log of the request cannot be read. Messages about the request become dead letters.
    #[error(transparent)]
    Unreadable(nats::Error),
    /// The command is refused, because the message that caused it is out of date.
    #[error(transparent)]
    Refused(#[from] Rejection),
}

impl From<nats::Error> for Error {
    fn from(error: nats::Error) -> Self {
        match error {
            nats::Error::Missing(_) => {
                let message = format!(
                    "{error} in the object store: it has expired or was deleted; fork the request \
                     to run it again"
                );
                Self::failure(FailureCode::PayloadMissing, message)
            }
            nats::Error::Corrupt { .. } => {
                Self::failure(FailureCode::Unreadable, error.to_string())
            }
            // A retry would be just as large.
            nats::Error::TooLarge { .. } => {
                Self::failure(FailureCode::CommitTooLarge, error.to_string())
            }
            error => Self::Later(error.to_string()),
        }
    }
}

impl From<Unfinished> for Error {
    fn from(error: Unfinished) -> Self {
        match error {
            Unfinished::Ended => Self::Later(error.to_string()),
            // A retry would end in the same way.
            Unfinished::Panicked | Unfinished::Endless => {
                Self::failure(FailureCode::Internal, error.to_string())
            }
        }
    }
}

impl Error {
    /// Converts an error of the log itself, as opposed to one of a payload.
    pub fn of_log(error: nats::Error) -> Self {
        match error {
            nats::Error::Corrupt { .. } => Self::Unreadable(error),
            error => error.into(),
        }
    }

    /// The error that fails a request with this code and message.
    pub fn failure(code: FailureCode, message: impl Into<String>) -> Self {
        Self::Fails(Box::new(Failure {
            code: code.into(),
            message: message.into(),
            redrive_may_help: false,
            ..Failure::default()
        }))
    }
}
