//! What a commit says about its request in its headers alone. Following the open requests of a log
//! then costs no bodies.

use async_nats::{HeaderMap, HeaderValue};
use domain::request::{EventKind, RequestId, Sequence};

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
}

/// What a commit does to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// The request is open from this commit on: it was received, or runs again.
    Opens,
    /// The request ends.
    Ends,
    /// The request is as open as before.
    Continues,
    /// This build does not know an event of the commit, so the request may be open.
    Unknown,
    /// Nothing: the message is no commit.
    Nothing,
}

impl Does {
    /// Reads it from a commit's headers.
    pub(crate) fn of(headers: Option<&HeaderMap>) -> Self {
        if is_no_commit(headers) {
            return Self::Nothing;
        }
        let names = headers.and_then(|headers| headers.get(EVENTS));
        let names = names.map_or("", HeaderValue::as_str);
        let mut does = Self::Continues;
        for name in names.split(',') {
            match unknown_event::known(name) {
                None => return Self::Unknown,
                Some(kind) if kind.is_terminal() => does = Self::Ends,
                Some(EventKind::Received | EventKind::Redriven) => does = Self::Opens,
                Some(_) => {}
            }
        }
        does
    }
}

#[cfg(test)]
mod tests {
    use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;

    use super::*;

    fn does(names: &str) -> Does {
        let mut headers = HeaderMap::new();
        headers.insert(EVENTS, names);
        Does::of(Some(&headers))
    }

    #[test]
    fn the_names_of_its_events_say_what_a_commit_does_to_its_request() {
        assert_eq!(does("received,group-started"), Does::Opens);
        assert_eq!(does("redriven"), Does::Opens);
        assert_eq!(does("task-succeeded,group-completed,succeeded"), Does::Ends);
        assert_eq!(does("received,failed"), Does::Ends);
        assert_eq!(does("task-succeeded"), Does::Continues);
        assert_eq!(does("received,of-tomorrow"), Does::Unknown);
        assert_eq!(Does::of(None), Does::Nothing);
        let mut without_names = HeaderMap::new();
        without_names.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "7");
        assert_eq!(Does::of(Some(&without_names)), Does::Unknown);
    }
}
