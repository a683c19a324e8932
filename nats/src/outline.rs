//! What a commit says about its request in its headers alone. Following the open requests of a log
//! then costs no bodies.

use async_nats::{HeaderMap, HeaderValue};
use domain::request::{EventKind, RequestId, Sequence};
use jiff::Timestamp;

use crate::commit::EVENTS;
use crate::no_commit::is_no_commit;
use crate::unknown_event;

/// A commit as far as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The request.
    pub request: RequestId,
    /// The sequence of the commit.
    pub sequence: Sequence,
    /// What it does to the request.
    pub does: Does,
    /// When the log stored it.
    pub at: Timestamp,
    /// What it does to the group that runs.
    pub group: OfGroup,
}

/// What a commit does to the running group of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfGroup {
    /// A group has ended.
    pub ends: bool,
    /// A group begins, or runs again.
    pub begins: bool,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl End {
    fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::Succeeded => Self::Succeeded,
            EventKind::Cancelled => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// The status of the request.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a commit does to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// The request is open from this commit on: it was received, or runs again.
    Opens,
    /// The request ends.
    Ends(End),
    /// The request is as open as before.
    Continues,
    /// This build does not know an event of the commit, so the request may be open.
    Unknown,
    /// Nothing: the message is no commit.
    Nothing,
}

impl Does {
    /// Reads it from a commit's headers.
    pub(crate) fn of(headers: Option<&HeaderMap>) -> (Self, OfGroup) {
        if is_no_commit(headers) {
            return (Self::Nothing, OfGroup::default());
        }
        let names = headers.and_then(|headers| headers.get(EVENTS));
        let names = names.map_or("", HeaderValue::as_str);
        let (mut does, mut group) = (Self::Continues, OfGroup::default());
        for name in names.split(',') {
            match unknown_event::known(name) {
                None => return (Self::Unknown, group),
                Some(kind) if kind.is_terminal() => does = Self::Ends(End::of(kind)),
                Some(EventKind::Received) => does = Self::Opens,
                Some(EventKind::Redriven) => {
                    does = Self::Opens;
                    group.begins = true;
                }
                Some(EventKind::GroupStarted) => group.begins = true,
                Some(EventKind::GroupCompleted) => group.ends = true,
                Some(_) => {}
            }
        }
        (does, group)
    }
}

#[cfg(test)]
mod tests {
    use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;

    use super::*;

    fn does(names: &str) -> Does {
        let mut headers = HeaderMap::new();
        headers.insert(EVENTS, names);
        Does::of(Some(&headers)).0
    }

    #[test]
    fn the_names_of_its_events_say_what_a_commit_does_to_its_request() {
        assert_eq!(does("received,group-started"), Does::Opens);
        assert_eq!(does("redriven"), Does::Opens);
        let end = does("task-succeeded,group-completed,succeeded");
        assert_eq!(end, Does::Ends(End::Succeeded));
        assert_eq!(does("received,failed"), Does::Ends(End::Failed));
        assert_eq!(does("cancelled"), Does::Ends(End::Cancelled));
        assert_eq!(does("task-succeeded"), Does::Continues);
        assert_eq!(does("received,of-tomorrow"), Does::Unknown);
        assert_eq!(Does::of(None).0, Does::Nothing);
        let mut without_names = HeaderMap::new();
        without_names.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "7");
        assert_eq!(Does::of(Some(&without_names)).0, Does::Unknown);
    }
}
