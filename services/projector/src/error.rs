/// Why projecting stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or the feed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The views.
    #[error(transparent)]
    Views(#[from] projections::Error),
    /// Redis was emptied while the views were built again: begin anew.
    #[error("Redis was emptied meanwhile")]
    Emptied,
    /// A loop ended that must not.
    #[error("the projector's loop ended")]
    Ended,
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Nats(error) => error.is_transient(),
            Self::Views(error) => error.is_transient(),
            Self::Emptied | Self::Ended => true,
        }
    }

    /// Whether only the commit that was projected meets it, and meets it every time. What the
    /// broker or Redis as a whole refuses, as when it is full, every commit would meet.
    #[must_use]
    pub fn is_of_its_commit(&self) -> bool {
        use nats::Error::{Missing, Refused, Unsuitable};
        match self {
            Self::Emptied | Self::Ended | Self::Nats(Refused(_) | Missing(_) | Unsuitable(_)) => {
                false
            }
            Self::Nats(error) => !error.is_transient(),
            Self::Views(error) => matches!(error, projections::Error::Refused(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_as_a_whole_refuses_is_not_held_against_a_commit() {
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
            Error::Nats(nats::Error::Unsuitable(said())),
            Error::Views(projections::Error::Unavailable(said())),
            Error::Emptied,
        ] {
            assert!(!error.is_of_its_commit(), "{error}");
        }
    }
}
