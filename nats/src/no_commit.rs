//! Messages in the log that are no commits. Whoever may call JetStream's API can name a subject of
//! the log as the subject of the answer, and the broker stores the answer there with its own rights.
//! No version of Fanfold has ever stored a commit without headers, so such a message is passed over.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;

use crate::Delivery;
use crate::commit::EVENTS;

/// How many such messages are told apart. Further ones are passed over without being counted.
const COUNTED_MAX: usize = 10_000;

/// The stream and the sequence of each such message that a reader of this process came to.
static FOUND: Mutex<BTreeSet<(String, u64)>> = Mutex::new(BTreeSet::new());

/// Whether a message of the log is evidently no commit: it names no events, and does not say on
/// which sequence it was decided. A message with one of both may be the commit of another version.
pub(crate) fn is_no_commit(headers: Option<&HeaderMap>) -> bool {
    headers.is_none_or(|headers| {
        headers.get(EVENTS).is_none() && headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE).is_none()
    })
}

/// How many messages of the log this process has passed over because they are no commits.
#[must_use]
pub fn passed_over() -> usize {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner).len()
}

impl Delivery {
    /// Whether this message of the log is evidently no commit. It is then counted, and the caller
    /// passes over it.
    #[must_use]
    pub fn is_no_commit(&self) -> bool {
        // Every commit has headers, so nearly every message returns here.
        if !is_no_commit(self.message().headers.as_ref()) {
            return false;
        }
        let Ok(info) = self.message().info() else {
            return true;
        };
        let place = (info.stream.to_owned(), info.stream_sequence);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < COUNTED_MAX && found.insert(place) {
            tracing::error!(
                stream = info.stream,
                sequence = info.stream_sequence,
                subject = self.subject(),
                "a message in the log is no commit and is passed over; see who may publish there"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_without_both_headers_is_evidently_no_commit() {
        assert!(is_no_commit(None));
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", "1");
        assert!(is_no_commit(Some(&headers)));
        headers.insert(EVENTS, "of-tomorrow");
        assert!(!is_no_commit(Some(&headers)));
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        assert!(!is_no_commit(Some(&headers)));
    }
}
