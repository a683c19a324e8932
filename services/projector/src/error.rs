use domain::request::{RequestId, Sequence};

/// Why projecting stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or the feed failed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The view store failed.
    #[error(transparent)]
    Views(#[from] projections::Error),
    /// The log of a request was read from a server that lags.
    #[error("request {request} was read up to {read}, and not yet {wanted}")]
    Short {
        /// The request.
        request: RequestId,
        /// The last sequence that was read.
        read: Sequence,
        /// The sequence that must be read.
        wanted: Sequence,
    },
    /// Redis was emptied while the projector rebuilt the views; it must start over.
    #[error("Redis was emptied meanwhile")]
    Emptied,
    /// A loop ended that must not end.
    #[error("the projector's loop ended")]
    Ended,
}

impl Error {
    /// Whether a retry may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Nats(error) => error.is_transient(),
            Self::Views(error) => error.is_transient(),
            Self::Short { .. } | Self::Emptied | Self::Ended => true,
        }
    }

    /// Whether the broker or Redis does not allow something. Only an operator helps then.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Nats(nats::Error::Denied(_)) | Self::Views(projections::Error::Denied(_))
        )
    }

    /// Whether only the projected commit causes this error, and causes it every time. An error of
    /// the broker or of Redis as a whole, such as a full store, would hit every commit.
    #[must_use]
    pub fn is_of_its_commit(&self) -> bool {
        match self {
            Self::Short { .. } | Self::Emptied | Self::Ended => false,
            Self::Nats(error) => error.is_of_the_data(),
            Self::Views(error) => matches!(error, projections::Error::Refused(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_the_server_as_a_whole_is_not_blamed_on_a_commit() {
        let said = || "said".to_owned();
        let corrupt = nats::Error::Corrupt {
            what: said(),
            reason: said(),
        };
        for error in [
            Error::Nats(corrupt),
            Error::Views(projections::Error::Refused(said())),
        ] {
            assert!(error.is_of_its_commit() && !error.is_transient(), "{error}");
        }
        for error in [
            Error::Nats(nats::Error::Unavailable(said())),
            Error::Nats(nats::Error::Refused(said())),
            Error::Nats(nats::Error::Missing(said())),
            Error::Nats(nats::Error::Denied(said())),
            Error::Views(projections::Error::Denied(said())),
            Error::Nats(nats::Error::Unsuitable(said())),
            Error::Views(projections::Error::Unavailable(said())),
            Error::Emptied,
        ] {
            assert!(!error.is_of_its_commit(), "{error}");
        }
    }
}
