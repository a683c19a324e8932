use std::error::Error as _;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};

use crate::size::MESSAGE_MAX_BYTES;

/// What can go wrong with the broker, by what the caller can do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The broker did not answer, or not in time: try again.
    #[error("NATS is unavailable: {0}")]
    Unavailable(String),
    /// The broker takes no more of this: say so to whoever sends it.
    #[error("NATS refuses: {0}")]
    Refused(String),
    /// Another commit came first: read again and decide again.
    #[error("another commit of this request came first")]
    Conflict,
    /// What is stored cannot be read: an operator must look at it.
    #[error("{what} cannot be read: {reason}")]
    Corrupt {
        /// What it is, with its place.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is larger than the broker takes, or than it could be read again: make it smaller.
    #[error("{what} has {bytes} bytes, and may have {limit}")]
    TooLarge {
        /// What it is.
        what: String,
        /// How many bytes it has, as far as they were counted.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The broker's settings do not let this user do it: an operator must change them.
    #[error("NATS does not allow it: {0}")]
    Denied(String),
    /// There is no such thing, or not any more.
    #[error("{0} is not there")]
    Missing(String),
    /// Working on it ended the process that did, again and again: it is not worked on any more.
    #[error("{0}")]
    Poisonous(String),
    /// The server cannot serve Fanfold as it is: change it or its settings.
    #[error("{0}")]
    Unsuitable(String),
}

impl Error {
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }

    /// What a refusal means that is not about another message of the same subject.
    pub(crate) fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge { bytes, limit } => Self::TooLarge {
                what: "a message".into(),
                bytes,
                limit,
            },
            Refusal::Denied(text) => Self::Denied(text),
            other => Self::unavailable(other),
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict)
    }
}

/// What the broker answered to a publish, as far as Fanfold tells the answers apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 10071: the expected sequence is not the last one.
    #[error("the expected sequence is not the last one")]
    WrongSequence,
    /// 10164: a replica is behind, or another write of this subject is in flight; often
    /// spurious, so it is only a reason to look again.
    #[error("another write of this subject may be in flight")]
    SequenceUnsure,
    /// 10077, where it is about the messages of a subject: it has its message already.
    #[error("the subject has its message already")]
    SubjectTaken,
    /// It is larger than a message may be.
    #[error("a message of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// How many bytes it has, where that is known.
        bytes: usize,
        /// How many it may have, where that is known.
        limit: usize,
    },
    /// This user may not publish it.
    #[error("{0}")]
    Denied(String),
    /// There is no connection: it was not sent, and will not be.
    #[error("not connected")]
    NotSent,
    /// No answer, or one that says nothing about the message.
    #[error("{0}")]
    Other(String),
}

/// Whether the broker answered that there is no such stream.
pub(crate) fn is_missing_stream(error: &dyn std::error::Error) -> bool {
    let source = error.source();
    let answer = source.and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    answer.is_some_and(|answer| answer.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

pub(crate) fn refusal(error: &PublishError) -> Refusal {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => return Refusal::WrongSequence,
        PublishErrorKind::MaxPayloadExceeded => return too_large(error),
        _ => {}
    }
    let answer = error
        .source()
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    match answer.map(|answer| (answer.error_code(), answer.to_string())) {
        Some((ErrorCode(10071), _)) => Refusal::WrongSequence,
        Some((ErrorCode(10164), _)) => Refusal::SequenceUnsure,
        // The same code says that the stream is full.
        Some((ErrorCode(10077), text)) if text.contains("per subject") => Refusal::SubjectTaken,
        Some((
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
            _,
        )) => too_large(error),
        Some((_, text)) => Refusal::Other(text),
        None => Refusal::Other(error.to_string()),
    }
}

/// The client's own words have the limit and the size in them; a stream's do not.
fn too_large(error: &PublishError) -> Refusal {
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok());
    let limit = numbers.next().unwrap_or(MESSAGE_MAX_BYTES);
    Refusal::TooLarge {
        bytes: numbers.next().unwrap_or(limit),
        limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_large() -> Error {
        let (what, bytes, limit) = ("a".into(), 2, 1);
        Error::TooLarge { what, bytes, limit }
    }

    #[test]
    fn only_what_may_go_better_is_transient() {
        for error in [Error::Unavailable("x".into()), Error::Conflict] {
            assert!(error.is_transient(), "{error}");
        }
        for error in [
            too_large(),
            Error::Denied("x".into()),
            Error::Unsuitable("x".into()),
            Error::Refused("x".into()),
            Error::Missing("x".into()),
            Error::corrupt("x", "y"),
        ] {
            assert!(!error.is_transient(), "{error}");
        }
    }

    #[test]
    fn what_the_client_finds_too_large_is_too_large() {
        let text = "Payload size limit of 65536 exceeded by message size of 70000";
        let error = PublishError::with_source(PublishErrorKind::MaxPayloadExceeded, text);
        let (bytes, limit) = (70_000, 65_536);
        assert_eq!(refusal(&error), Refusal::TooLarge { bytes, limit });
        let error = Error::of_refusal(refusal(&error));
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
