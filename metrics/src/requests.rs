//! What the orchestrator does.

use std::time::Duration;

use crate::catalogue::Part;
use crate::counted::{Counter, Gauge};
use crate::family::Family;
use crate::histogram::{Histogram, REQUESTS, SHORT, TOGETHER, Traced};
use crate::registry::Registry;

/// The instruments of the orchestrator.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    /// Ended requests and groups.
    pub requests: Requests,
    /// Reports of workers and timers.
    pub reports: Reports,
    /// Timers.
    pub timers: Timers,
    /// Fetches of what documents refer to.
    pub fetches: Fetches,
    reconciled: Family<Counter>,
    /// How long a look at all open requests took.
    pub round: Histogram,
    /// How often the effects of a commit failed and were put off.
    pub effects_again: Counter,
}

/// How long requests and groups took, from commit to commit by the clock of the broker.
#[derive(Clone, Debug)]
pub struct Requests {
    durations: Family<Traced>,
    succeeded: Traced,
    /// How long groups took from their start to their last outcome.
    pub groups: Histogram,
}

impl Requests {
    /// The instrument of requests that end with this status. Nearly all succeed.
    #[must_use]
    pub fn ended(&self, status: &str) -> Traced {
        match status {
            "succeeded" => self.succeeded.clone(),
            status => self.durations.with(&[status]),
        }
    }
}

/// The reports of workers and timers.
#[derive(Clone, Debug)]
pub struct Reports {
    /// Reports that were processed.
    pub done: Counter,
    /// Reports that come again.
    pub again: Counter,
    /// Messages that became dead letters.
    pub set_aside: Counter,
    /// How many became one commit.
    pub batch: Histogram,
}

/// The timers of requests, groups and tasks.
#[derive(Clone, Debug)]
pub struct Timers {
    set: Family<Counter>,
    fired: Family<Counter>,
    /// The timers that are wanted and not yet set.
    pub held: Gauge,
}

impl Timers {
    /// The timers of a kind that were set: `request`, `group` or `task`.
    #[must_use]
    pub fn set(&self, kind: &str) -> Counter {
        self.set.with(&[kind])
    }

    /// The timers of a kind that fired.
    #[must_use]
    pub fn fired(&self, kind: &str) -> Counter {
        self.fired.with(&[kind])
    }
}

/// The fetches of resources.
#[derive(Clone, Debug)]
pub struct Fetches {
    outcomes: Family<Counter>,
    durations: Family<Histogram>,
    bytes: Counter,
}

impl Fetches {
    /// Notes a fetch from a place of a scheme: how long it took, and what it brought.
    pub fn ended(&self, scheme: &str, took: Duration, brought: Option<usize>) {
        let outcome = if brought.is_some() {
            "fetched"
        } else {
            "failed"
        };
        self.outcomes.with(&[scheme, outcome]).inc();
        self.durations.with(&[scheme]).took(took);
        self.bytes.inc_by(brought.unwrap_or(0) as u64);
    }
}

impl Orchestrator {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Orchestrator);
        let durations = registry.traced(
            (
                "fanfold_request_duration_seconds",
                "How long requests took from their first commit to their end, by status; OpenMetrics has the trace of a caller as exemplar",
            ),
            &["status"],
            REQUESTS,
        );
        let reports = registry.counters(
            "fanfold_reports_total",
            &["outcome"],
            "Messages with reports of workers and timers: `done`, `again` (processed again later) or `set-aside` (a dead letter)",
        );
        let timers = Timers {
            set: registry.counters(
                "fanfold_timers_set_total",
                &["kind"],
                "Timers that were set, for a `request`, a `group` or a `task`",
            ),
            fired: registry.counters(
                "fanfold_timers_fired_total",
                &["kind"],
                "Timers that fired. Those of a request or a group mean that it was too slow",
            ),
            held: registry.gauge(
                "fanfold_timers_held",
                "Timers that are wanted and not yet set. Their commits are unacked meanwhile",
            ),
        };
        for kind in ["request", "group", "task"] {
            let _ = (timers.set(kind), timers.fired(kind));
        }
        Self {
            requests: Requests {
                succeeded: durations.with(&["succeeded"]),
                durations,
                groups: registry.histogram(
                    "fanfold_group_duration_seconds",
                    "How long groups took from their start to their last outcome",
                    REQUESTS,
                ),
            },
            reports: Reports {
                done: reports.with(&["done"]),
                again: reports.with(&["again"]),
                set_aside: reports.with(&["set-aside"]),
                batch: registry.histogram(
                    "fanfold_report_batch_reports",
                    "Reports that became one commit",
                    TOGETHER,
                ),
            },
            timers,
            fetches: Fetches {
                outcomes: registry.counters(
                    "fanfold_href_fetches_total",
                    &["scheme", "outcome"],
                    "Fetches of what documents refer to: `fetched` or `failed`",
                ),
                durations: registry.histograms(
                    ("fanfold_href_fetch_duration_seconds", "How long such fetches took"),
                    &["scheme"],
                    SHORT,
                ),
                bytes: registry.counter(
                    "fanfold_href_fetched_bytes_total",
                    "Bytes that such fetches brought",
                ),
            },
            reconciled: registry.counters(
                "fanfold_reconciler_looks_total",
                &["found"],
                "Close looks at open requests: the queues were `whole`, or something was `put-back`, the request had `ended`, was `moving`, is `unreadable`, or is looked at `later`",
            ),
            round: registry.histogram(
                "fanfold_reconciler_round_duration_seconds",
                "How long the reconciler took to look at the open requests of a shard",
                &[0.01, 0.1, 1.0, 10.0],
            ),
            effects_again: registry.counter(
                "fanfold_effects_again_total",
                "Commits whose effects failed and are tried again",
            ),
        }
    }

    /// Counts what the reconciler found at a request.
    pub fn reconciled(&self, found: &str) {
        self.reconciled.with(&[found]).inc();
    }
}
