//! Who did what to a request, and why.

use domain::request::{Event, Sequence};
use jiff::Timestamp;

use crate::story::Story;

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The sequence of the commit.
    pub sequence: Sequence,
    /// The time of the commit.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// The person for whom the caller says it acted.
    pub on_behalf_of: Option<String>,
    /// What was done, as a word: `submitted`, `cancelled`, `redriven`, `forked`.
    pub what: &'static str,
    /// The reason; none for a submission.
    pub reason: Option<String>,
}

/// Everything that somebody did to a request, in order.
#[must_use]
pub fn deeds(story: &Story) -> Vec<Deed> {
    let each = story.events().filter_map(|recorded| {
        let (what, by, on_behalf_of, reason) = match recorded.event {
            Event::Received(e) => ("submitted", e.submitter, None, None),
            Event::Cancelled(e) => ("cancelled", e.by, e.on_behalf_of, Some(e.reason)),
            Event::Redriven(e) => ("redriven", e.by, e.on_behalf_of, Some(e.reason)),
            Event::Forked(e) => ("forked", e.by, e.on_behalf_of, Some(e.reason)),
            _ => return None,
        };
        Some(Deed {
            sequence: recorded.sequence,
            at: recorded.at,
            by,
            on_behalf_of,
            what,
            reason,
        })
    });
    each.collect()
}
