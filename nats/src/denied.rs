//! What the broker denied to this user. The broker reports a denial on the connection and not to the
//! call, which gets no answer. The call looks here after it has waited in vain.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Connection, Error};

/// How many denials are remembered.
const REMEMBERED: usize = 64;
/// How old a denial may be that explains why a call has failed: the call has waited for a few seconds.
const JUST_NOW: Duration = Duration::from_secs(10);

/// The denials of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Denied(Arc<Mutex<VecDeque<(Instant, String)>>>);

impl Denied {
    /// Remembers a text from the broker if it denies something.
    pub fn note(&self, said: &str) {
        if !said.contains("Permissions Violation") {
            return;
        }
        let mut denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same denial again says nothing new.
        denials.retain(|(_, text)| text != said);
        if denials.len() == REMEMBERED {
            denials.pop_front();
        }
        denials.push_back((Instant::now(), said.to_owned()));
    }

    /// The broker's recent denial of a publish to this subject.
    pub fn publishing_to(&self, subject: &str) -> Option<String> {
        self.find(&[format!("Publish to \"{subject}\"")], JUST_NOW)
    }

    /// The error of a call at this subject that got no answer, or not the right one. Where the broker
    /// has just denied the call, no retry helps.
    pub fn error(&self, subject: &str, error: impl Display) -> Error {
        match self.below(subject, JUST_NOW) {
            Some(said) => Error::Denied(said),
            None => Error::unavailable(error),
        }
    }

    /// The broker's denial, within this time, of a publish to this subject or to one below it.
    fn below(&self, subject: &str, within: Duration) -> Option<String> {
        let said = [
            format!("Publish to \"{subject}\""),
            format!("Publish to \"{subject}."),
        ];
        self.find(&said, within)
    }

    fn find(&self, said: &[String], within: Duration) -> Option<String> {
        let denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = denials.iter().rev().filter(|(at, _)| at.elapsed() < within);
        lately
            .map(|(_, text)| text)
            .find(|text| said.iter().any(|said| text.contains(said)))
            .cloned()
    }

    /// Whether a subscription to a subject that begins so was denied just now.
    pub fn subscribing_below(&self, prefix: &str) -> bool {
        let said = [format!("Subscription to \"{prefix}")];
        self.find(&said, JUST_NOW).is_some()
    }

    /// Whether anything was denied within this time.
    pub fn has_any(&self, within: Duration) -> bool {
        let denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        denials.back().is_some_and(|(at, _)| at.elapsed() < within)
    }

    /// The denials within this time, each once.
    pub fn lately(&self, within: Duration) -> Vec<String> {
        let denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = denials.iter().filter(|(at, _)| at.elapsed() < within);
        lately.map(|(_, text)| text.clone()).collect()
    }
}

impl Connection {
    /// The error of a call to JetStream's API at this subject, which is named without the prefix.
    /// Where the broker has just denied the call, it is [`Error::Denied`], and no retry helps.
    pub(crate) fn failed(&self, call: impl Display, error: impl Display) -> Error {
        self.denied.error(&format!("{}.{call}", self.api), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_applies_to_its_own_subject_only() {
        let denied = Denied::default();
        denied.note("nats: Permissions Violation for Publish to \"reports.1.a.0.1\"");
        denied.note("nats: stale connection");
        assert!(denied.publishing_to("reports.1.a.0.1").is_some());
        assert!(denied.publishing_to("reports.1.a.0.11").is_none());
        assert!(denied.publishing_to("reports.1.a.0").is_none());
    }

    #[test]
    fn a_denied_call_is_found_by_the_tokens_that_every_such_call_begins_with() {
        let denied = Denied::default();
        denied.note("Permissions Violation for Publish to \"$JS.API.CONSUMER.CREATE.TASKS.a.b\"");
        let below = |subject: &str| denied.below(subject, JUST_NOW).is_some();
        assert!(below("$JS.API.CONSUMER.CREATE.TASKS.a"));
        assert!(below("$JS.API.CONSUMER.CREATE.TASKS"));
        assert!(!below("$JS.API.CONSUMER.CREATE.TASK"));
        assert!(!below("$JS.API.CONSUMER.INFO.TASKS.a"));
    }

    #[test]
    fn only_a_bounded_number_of_denials_is_remembered() {
        let denied = Denied::default();
        for n in 0..=REMEMBERED {
            denied.note(&format!("Permissions Violation for Publish to \"{n}\""));
        }
        assert!(denied.publishing_to("0").is_none());
        assert!(denied.publishing_to("1").is_some());
    }
}
