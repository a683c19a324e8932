//! The publishes that the broker denied. The broker reports a denial on the connection and not to
//! the call, which gets no answer. The call looks here after it has waited in vain.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many denials are remembered.
const REMEMBERED: usize = 64;
/// How long a denial is remembered: longer than any call waits.
const FOR: Duration = Duration::from_mins(1);

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
        if denials.len() == REMEMBERED {
            denials.pop_front();
        }
        denials.push_back((Instant::now(), said.to_owned()));
    }

    /// The broker's recent denial of a publish to this subject.
    pub fn publishing_to(&self, subject: &str) -> Option<String> {
        let said = format!("Publish to \"{subject}\"");
        let denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = denials.iter().rev().filter(|(at, _)| at.elapsed() < FOR);
        lately
            .map(|(_, text)| text)
            .find(|text| text.contains(&said))
            .cloned()
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
    fn only_a_bounded_number_of_denials_is_remembered() {
        let denied = Denied::default();
        for n in 0..=REMEMBERED {
            denied.note(&format!("Permissions Violation for Publish to \"{n}\""));
        }
        assert!(denied.publishing_to("0").is_none());
        assert!(denied.publishing_to("1").is_some());
    }
}
