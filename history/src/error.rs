/// Why a question has no answer, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The requested thing does not exist, or no longer exists.
    #[error("{0}")]
    NotFound(String),
    /// A server does not answer. Try again, or give its address.
    #[error("{0}")]
    Unreachable(String),
    /// The stored data cannot be read, which is a finding.
    #[error("{0}")]
    Unreadable(String),
    /// A server is not set up as Fanfold needs it.
    #[error("{0}")]
    Unsuitable(String),
    /// A bundle cannot be packed.
    #[error("the bundle cannot be packed: {0}")]
    Packing(#[from] std::io::Error),
}

impl From<nats::Error> for Error {
    fn from(error: nats::Error) -> Self {
        let text = error.to_string();
        match error {
            nats::Error::Missing(_) => Self::NotFound(text),
            nats::Error::Corrupt { .. } => Self::Unreadable(text),
            nats::Error::Unsuitable(_) | nats::Error::TooLarge { .. } | nats::Error::Denied(_) => {
                Self::Unsuitable(text)
            }
            _ => Self::Unreachable(text),
        }
    }
}

impl From<projections::Error> for Error {
    fn from(error: projections::Error) -> Self {
        match error {
            projections::Error::Unavailable(reason) => {
                Self::Unreachable(format!("Redis does not answer: {reason}"))
            }
            error @ projections::Error::Denied(_) => Self::Unsuitable(error.to_string()),
            error @ projections::Error::Foreign { .. } => Self::Unreachable(error.to_string()),
            error @ (projections::Error::Refused(_) | projections::Error::Corrupt { .. }) => {
                Self::Unreadable(error.to_string())
            }
        }
    }
}
