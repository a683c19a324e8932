use std::error::Error as _;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};

use crate::size::MESSAGE_MAX_BYTES;

/// The broker's codes for a lack of room: of the server, of the memory and the storage of the
/// account, and of a stream that refuses new messages.
const NO_ROOM: [ErrorCode; 4] = [
    ErrorCode(10023),
    ErrorCode(10028),
    ErrorCode(10047),
    ErrorCode(10077),
];

/// The errors of the broker, divided by what the caller can do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The broker did not answer, or not in time: try again.
    #[error("NATS is unavailable: {0}")]
    Unavailable(String),
    /// The broker may or may not have stored the message: look before trying again.
    #[error("NATS gave no answer, and may have stored the message: {0}")]
    Unanswered(String),
    /// The broker has no room for the message: try again once an operator has made room.
    #[error("NATS has no room: {0}")]
    Full(String),
    /// The broker takes no more of this: tell the sender.
    #[error("NATS refuses: {0}")]
    Refused(String),
    /// Another commit came first: read again and decide again.
    #[error("another commit of this request came first")]
    Conflict,
    /// Stored data cannot be read: an operator must look at it.
    #[error("{what} cannot be read: {reason}")]
    Corrupt {
        /// The name of the data, with its position.
        what: String,
        /// The fault in the data.
        reason: String,
    },
    /// The data is larger than the broker takes, or than a reader accepts: make it smaller.
    #[error("{what} has {bytes} bytes, and may have {limit}")]
    TooLarge {
        /// The name of the data.
        what: String,
        /// The size of the data in bytes, as far as it was counted.
        bytes: usize,
        /// The most bytes that the data may have.
        limit: usize,
    },
    /// The broker's settings do not allow this user the operation: an operator must change them.
    #[error("NATS does not allow it: {0}")]
    Denied(String),
    /// The thing does not exist, or no longer exists.
    #[error("{0} does not exist")]
    Missing(String),
    /// Work on this thing ended its process again and again: Fanfold no longer works on it.
    #[error("{0}")]
    Poisonous(String),
    /// The server cannot serve Fanfold as it is: change the server or its settings.
    #[error("{0}")]
    Unsuitable(String),
}

impl Error {
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }

    /// Converts a refusal that is not about another message of the same subject.
    pub(crate) fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge { bytes, limit } => Self::TooLarge {
                what: "a message".into(),
                bytes,
                limit,
            },
            Refusal::Denied(text) => Self::Denied(text),
            Refusal::Full(text) => Self::Full(text),
            Refusal::Unanswered(text) => Self::Unanswered(text),
            other => Self::unavailable(other),
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// Whether the cause is in the data that was read or written, whatever the broker does: nothing
    /// but other data helps. A broker that is away, full or does not allow something is no such
    /// cause.
    #[must_use]
    pub fn is_of_the_data(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::TooLarge { .. } | Self::Poisonous(_)
        )
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Unanswered(_) | Self::Full(_) | Self::Conflict
        )
    }
}

/// The broker's refusals of a publish, as far as Fanfold tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 10071: the expected sequence is not the last one.
    #[error("the expected sequence is not the last one")]
    WrongSequence,
    /// 10164: a replica lags, or another write of this subject is in flight. The code is often
    /// spurious, so the caller only checks again.
    #[error("another write of this subject may be in flight")]
    SequenceUnsure,
    /// 10077, where it is about the messages of a subject: the subject has its message already.
    #[error("the subject has its message already")]
    SubjectTaken,
    /// The message is larger than a message may be.
    #[error("a message of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// The size of the message in bytes, where it is known.
        bytes: usize,
        /// The most bytes that a message may have, where the limit is known.
        limit: usize,
    },
    /// This user may not publish the message.
    #[error("{0}")]
    Denied(String),
    /// There is no connection: the message was not sent, and will not be.
    #[error("not connected")]
    NotSent,
    /// The stream or the whole broker has no room.
    #[error("{0}")]
    Full(String),
    /// The broker gave no answer: the message may be stored.
    #[error("{0}")]
    Unanswered(String),
    /// The message was not stored, for another reason.
    #[error("{0}")]
    Other(String),
}

/// Whether the broker answered that the stream does not exist.
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
        // The same code also says that the stream is full.
        Some((ErrorCode(10077), text)) if text.contains("per subject") => Refusal::SubjectTaken,
        Some((
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
            _,
        )) => too_large(error),
        Some((code, text)) if NO_ROOM.contains(&code) => Refusal::Full(text),
        Some((_, text)) => Refusal::Other(text),
        None => match error.kind() {
            // Nothing was sent, or no stream was there to take it.
            PublishErrorKind::StreamNotFound | PublishErrorKind::MaxAckPending => {
                Refusal::Other(error.to_string())
            }
            _ => Refusal::Unanswered(error.to_string()),
        },
    }
}

/// Reads the limit and the size out of the client's error text. A stream's error has neither.
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
    fn only_errors_that_a_retry_may_cure_are_transient() {
        for error in [
            Error::Unavailable("x".into()),
            Error::Unanswered("x".into()),
            Error::Full("x".into()),
            Error::Conflict,
        ] {
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
    fn a_size_error_of_the_client_is_reported_as_too_large() {
        let text = "Payload size limit of 65536 exceeded by message size of 70000";
        let error = PublishError::with_source(PublishErrorKind::MaxPayloadExceeded, text);
        let (bytes, limit) = (70_000, 65_536);
        assert_eq!(refusal(&error), Refusal::TooLarge { bytes, limit });
        let error = Error::of_refusal(refusal(&error));
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
