//! The HTTP API: calls, submissions and admission.

use std::time::Duration;

use crate::catalogue::Part;
use crate::counted::{Counter, Gauge};
use crate::family::Family;
use crate::histogram::{BYTES, DELAYS, Histogram, SHORT};
use crate::registry::Registry;

/// The instruments of HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    durations: Family<Histogram>,
    held: Family<Histogram>,
    /// Calls that are being answered.
    pub active: Gauge,
    waiters: Family<Gauge>,
    places: Family<Gauge>,
}

impl Http {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Api);
        Self {
            durations: registry.histograms(
                (
                    "http_server_request_duration_seconds",
                    "How long a call took to the head of its answer, without those that are held open on purpose",
                ),
                &["http_request_method", "http_route", "http_response_status_code"],
                SHORT,
            ),
            held: registry.histograms(
                (
                    "fanfold_http_held_seconds",
                    "How long a call was held open because its caller asked for that: `wait` for the end of a request",
                ),
                &["kind"],
                DELAYS,
            ),
            active: registry.gauge(
                "http_server_active_requests",
                "Calls whose answers have not begun",
            ),
            waiters: registry.gauges(
                "fanfold_http_waiters",
                &["kind"],
                "Callers that are held: `wait` for the end of a request, or `stream` its events",
            ),
            places: registry.gauges(
                "fanfold_http_waiters_max",
                &["kind"],
                "Callers that may be held at once; further ones get 503",
            ),
        }
    }

    /// Notes a call that was answered. `route` is a template and never a path.
    pub fn answered(&self, (method, route, status): (&str, &str, &str), took: Duration) {
        self.durations.with(&[method, route, status]).took(took);
    }

    /// Notes a call that was held open for its caller.
    pub fn held(&self, kind: &str, took: Duration) {
        self.held.with(&[kind]).took(took);
    }

    /// The callers of a kind that are held, and how many may be.
    #[must_use]
    pub fn waiters(&self, kind: &str) -> (Gauge, Gauge) {
        (self.waiters.with(&[kind]), self.places.with(&[kind]))
    }
}

/// The instruments of submissions and of their admission.
#[derive(Clone, Debug)]
pub struct Submissions {
    /// New requests.
    pub accepted: Counter,
    /// Submissions of requests that were there already.
    pub replayed: Counter,
    outcomes: Family<Counter>,
    /// The sizes of the documents.
    pub bytes: Histogram,
    /// The share of submissions that is accepted.
    pub share: Gauge,
    /// The submissions on their way into the log.
    pub on_their_way: Gauge,
    /// How many of those there may be.
    pub on_their_way_max: Gauge,
    /// The looks at the backlog that failed.
    pub blind_looks: Counter,
}

impl Submissions {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Api);
        let outcomes = registry.counters(
            "fanfold_submissions_total",
            &["outcome", "reason"],
            "Submissions: `accepted`, `replayed` (the key named a request) or `refused`, with the code of the problem as the reason",
        );
        // An alert counts these from 0 on.
        for reason in ["overloaded", "log-unavailable", "storage-full", "internal"] {
            let _ = outcomes.with(&[REFUSED, reason]);
        }
        Self {
            accepted: outcomes.with(&["accepted", ""]),
            replayed: outcomes.with(&["replayed", ""]),
            outcomes,
            bytes: registry.histogram(
                "fanfold_submission_bytes",
                "Sizes of submitted documents",
                BYTES,
            ),
            share: registry.gauge(
                "fanfold_admission_share_ratio",
                "Share of submissions that admission lets pass; below 1 the rest gets 503",
            ),
            on_their_way: registry.gauge(
                "fanfold_admission_submissions",
                "Submissions on their way into the log",
            ),
            on_their_way_max: registry.gauge(
                "fanfold_admission_submissions_max",
                "Submissions that may be on their way into the log at once; further ones get 503",
            ),
            blind_looks: registry.counter(
                "fanfold_admission_blind_looks_total",
                "Looks at the backlog that failed",
            ),
        }
    }

    /// Counts a refused submission by the code of its problem.
    pub fn refused(&self, code: &str) {
        self.outcomes.with_open(&[REFUSED], code).inc();
    }
}

const REFUSED: &str = "refused";
