//! Webhooks.

use crate::catalogue::Part;
use crate::counted::Counter;
use crate::histogram::{Histogram, SHORT};
use crate::registry::Registry;

/// The instruments of webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Webhooks that their receivers took.
    pub delivered: Counter,
    /// Attempts that failed and are repeated.
    pub again: Counter,
    /// Deliveries that were put off because their receiver is busy.
    pub busy: Counter,
    /// Webhooks that were given up.
    pub given_up: Counter,
    /// How long a receiver took.
    pub took: Histogram,
}

impl Webhooks {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Webhooks);
        let outcomes = registry.counters(
            "fanfold_webhooks_total",
            &["outcome"],
            "Webhooks: `delivered`, `again` (an attempt failed and is repeated), `busy` (put off, because the receiver has its share) and `given-up` (a dead letter)",
        );
        Self {
            delivered: outcomes.with(&["delivered"]),
            again: outcomes.with(&["again"]),
            busy: outcomes.with(&["busy"]),
            given_up: outcomes.with(&["given-up"]),
            took: registry.histogram(
                "fanfold_webhook_duration_seconds",
                "How long a receiver took to answer, or not to",
                SHORT,
            ),
        }
    }
}
