//! Commits and other publishes, and the servers that a process depends on.

use std::sync::Arc;
use std::time::Duration;

use crate::catalogue::Part;
use crate::counted::{Counter, Gauge, Level as _, Mirror, mirror};
use crate::family::Family;
use crate::histogram::{Histogram, SHORT, TOGETHER};
use crate::registry::Registry;

/// The instruments of publishing. A connection has them resolved, as [`Commits`] and [`Flights`].
#[derive(Clone, Debug)]
pub struct Broker {
    /// The commits of this process.
    pub commits: Arc<Commits>,
    /// The batches to the log.
    pub to_log: Arc<Flights>,
    /// The batches to the queues and the feed.
    pub to_queues: Arc<Flights>,
    up: Family<Gauge>,
    round_trip: Family<Gauge>,
    connects: Family<Mirror>,
    skew: Gauge,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker stored it.
    Stored,
    /// Another commit came first.
    Conflict,
    /// The broker can never store it, or has no room.
    Refused,
    /// No answer came, so it may be stored.
    Unknown,
    /// It was not sent, or the broker could not store it now.
    Unavailable,
}

impl Outcome {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Stored, "stored"),
        (Self::Conflict, "conflict"),
        (Self::Refused, "refused"),
        (Self::Unknown, "unknown"),
        (Self::Unavailable, "unavailable"),
    ];
}

/// The events of a request that are counted.
const EVENTS: [&str; 5] = ["received", "succeeded", "failed", "cancelled", "redriven"];

/// The commits of a process.
#[derive(Debug)]
pub struct Commits {
    outcomes: [Counter; 5],
    took: Histogram,
    events: [Counter; 5],
    failures: Family<Counter>,
}

impl Commits {
    /// Notes how a commit ended, and how long its caller waited.
    pub fn ended(&self, outcome: Outcome, took: Duration) {
        for ((known, _), counter) in Outcome::ALL.iter().zip(&self.outcomes) {
            if *known == outcome {
                counter.inc();
            }
        }
        if outcome == Outcome::Stored {
            self.took.took(took);
        }
    }

    /// Counts an event of a stored commit, if it is one that begins or ends a request.
    pub fn event(&self, name: &str) {
        let known = EVENTS.iter().zip(&self.events);
        if let Some((_, counter)) = known.into_iter().find(|(known, _)| **known == name) {
            counter.inc();
        }
    }

    /// Counts the code with which a request failed.
    pub fn failure(&self, code: &str) {
        self.failures.with_open(&[], code).inc();
    }
}

/// The batches in which messages are published.
#[derive(Debug)]
pub struct Flights {
    messages: Histogram,
    took: Histogram,
    /// Messages that went together as one batch.
    pub batched: Counter,
    /// Messages that went one by one.
    pub single: Counter,
}

impl Flights {
    /// Notes a batch.
    pub fn landed(&self, messages: usize, took: Duration) {
        self.messages.had(messages);
        self.took.took(took);
    }
}

/// A server that a role depends on.
#[derive(Debug)]
pub struct Dependency {
    up: Gauge,
    round_trip: Gauge,
    connects: Mirror,
    /// By how many seconds this machine's clock is ahead of the broker's.
    pub skew: Gauge,
}

impl Dependency {
    /// Notes whether the server answered.
    pub fn answered(&self, is_up: bool) {
        self.up.is(is_up);
    }

    /// Notes how long an answer took.
    pub fn took(&self, round_trip: Duration) {
        self.round_trip.lasting(round_trip);
    }

    /// Notes how often the client has connected.
    #[allow(clippy::cast_precision_loss)] // Nobody connects so often.
    pub fn connected(&self, times: u64) {
        mirror(&self.connects, times as f64);
    }
}

impl Broker {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Process);
        let outcomes = registry.counters(
            "fanfold_commits_total",
            &["outcome"],
            "Commits by how they ended: `stored`, `conflict` (another came first), `refused` (too large, or no room), `unknown` (no answer, so it may be stored) and `unavailable`",
        );
        let took = registry.histogram(
            "fanfold_commit_duration_seconds",
            "How long a stored commit took, with the wait for its batch",
            SHORT,
        );
        let events = registry.counters(
            "fanfold_requests_total",
            &["event"],
            "Requests whose commit this process stored, by event",
        );
        let failures = registry.counters(
            "fanfold_request_failures_total",
            &["code"],
            "Failed requests by the code of the failure; the codes beyond the first 50 are `other`",
        );
        let messages = registry.histograms(
            (
                "fanfold_flight_messages",
                "Messages that were published together, to the `log` or to `queues`",
            ),
            &["to"],
            TOGETHER,
        );
        let times = registry.histograms(
            (
                "fanfold_flight_duration_seconds",
                "How long the broker took to store messages that were published together",
            ),
            &["to"],
            &[0.001, 0.01, 0.1, 1.0],
        );
        let kinds = registry.counters(
            "fanfold_published_messages_total",
            &["to", "kind"],
            "Published messages by how they went: in a `batch`, or `single`",
        );
        let flights = |to| {
            Arc::new(Flights {
                messages: messages.with(&[to]),
                took: times.with(&[to]),
                batched: kinds.with(&[to, "batch"]),
                single: kinds.with(&[to, "single"]),
            })
        };
        Self {
            commits: Arc::new(Commits {
                outcomes: Outcome::ALL.map(|(_, name)| outcomes.with(&[name])),
                took,
                events: EVENTS.map(|name| events.with(&[name])),
                failures,
            }),
            to_log: flights("log"),
            to_queues: flights("queues"),
            up: registry.gauges(
                "fanfold_dependency_up",
                &["dependency", "role"],
                "Whether the server answered when it was asked last: 1, or 0",
            ),
            round_trip: registry.gauges(
                "fanfold_dependency_round_trip_seconds",
                &["dependency", "role"],
                "How long the last answer of the server took",
            ),
            connects: registry.mirrors(
                "fanfold_dependency_connects_total",
                &["dependency", "role"],
                "How often the client has connected to NATS",
            ),
            skew: registry.gauge(
                "fanfold_clock_skew_seconds",
                "By how much this machine's clock is certainly ahead of the broker's; negative where it is behind, 0 where the two may agree",
            ),
        }
    }

    /// A server that a role depends on.
    #[must_use]
    pub fn dependency(&self, server: &str, role: &str) -> Dependency {
        Dependency {
            up: self.up.with(&[server, role]),
            round_trip: self.round_trip.with(&[server, role]),
            connects: match server {
                "nats" => self.connects.with(&[server, role]),
                _ => Mirror::default(),
            },
            skew: self.skew.clone(),
        }
    }
}
