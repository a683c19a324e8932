use domain::request::{Failure, Rejection};
use runtime::Unfinished;

/// Why something could not be done for a request, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try again later: the broker delivers it again.
    #[error("{0}")]
    Later(String),
    /// The request cannot be taken further: it fails with this.
    #[error("{}", .0.message)]
    Fails(Box<Failure>),
    /// The request's log cannot be read: whatever is about it is set aside.
    #[error(transparent)]
    Unreadable(nats::Error),
    /// The command is refused; what asked for it is out of date.
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
                Self::failure("payload-missing", message)
            }
            nats::Error::Corrupt { .. } => Self::failure("unreadable", error.to_string()),
            // It is as large whenever it is tried.
            nats::Error::TooLarge { .. } => Self::failure("commit-too-large", error.to_string()),
            error => Self::Later(error.to_string()),
        }
    }
}

impl From<Unfinished> for Error {
    fn from(error: Unfinished) -> Self {
        match error {
            Unfinished::Ended => Self::Later(error.to_string()),
            // It would end so again.
            Unfinished::Panicked | Unfinished::Endless => {
                Self::failure("internal", error.to_string())
            }
        }
    }
}

impl Error {
    /// What an error of the log itself means, rather than one of a payload.
    pub fn of_log(error: nats::Error) -> Self {
        match error {
            nats::Error::Corrupt { .. } => Self::Unreadable(error),
            error => error.into(),
        }
    }

    /// The request fails with this code and message.
    pub fn failure(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Fails(Box::new(Failure {
            code: code.into(),
            message: message.into(),
            redrive_may_help: false,
            ..Failure::default()
        }))
    }
}
