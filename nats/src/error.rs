use std::error::Error as _;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};

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
    if error.kind() == PublishErrorKind::WrongLastSequence {
        return Refusal::WrongSequence;
    }
    let answer = error
        .source()
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    match answer.map(|answer| (answer.error_code().0, answer.to_string())) {
        Some((10071, _)) => Refusal::WrongSequence,
        Some((10164, _)) => Refusal::SequenceUnsure,
        // The same code says that the stream is full.
        Some((10077, text)) if text.contains("per subject") => Refusal::SubjectTaken,
        Some((_, text)) => Refusal::Other(text),
        None => Refusal::Other(error.to_string()),
    }
}
