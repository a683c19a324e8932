//! The events of this process's log.

use crate::catalogue::Part;
use crate::counted::Counter;
use crate::registry::Registry;

/// Counts the lines of the log that somebody should read.
#[derive(Clone, Debug)]
pub struct LogEvents {
    /// Errors.
    pub errors: Counter,
    /// Warnings.
    pub warnings: Counter,
}

impl LogEvents {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Process);
        let events = registry.counters(
            "fanfold_log_events_total",
            &["level"],
            "Lines of this process's log at `error` and at `warn`",
        );
        Self {
            errors: events.with(&["error"]),
            warnings: events.with(&["warn"]),
        }
    }
}
