//! The views in Redis, the projector that writes them, and its verifier.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::broker::{Broker, Dependency};
use crate::catalogue::Part;
use crate::counted::{Counter, Gauge, Level as _};
use crate::family::Family;
use crate::histogram::{DELAYS, Histogram};
use crate::registry::Registry;

/// The commands that have a series of their own.
const COMMANDS: [&str; 8] = [
    "PIPELINE", "EVALSHA", "GET", "HMGET", "HGETALL", "SET", "SPOP", "OTHER",
];

/// The instruments of the calls to Redis.
#[derive(Clone, Debug)]
pub struct Views {
    durations: Family<Histogram>,
    failures: Counter,
    /// Resolved for each of [`COMMANDS`] when it is first used.
    resolved: Arc<[std::sync::OnceLock<Histogram>; COMMANDS.len()]>,
    dependency: Option<Arc<Dependency>>,
}

impl Views {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Views);
        Self {
            durations: registry.histograms(
                (
                    "db_client_operation_duration_seconds",
                    "How long Redis took to answer a command, or a pipeline of them",
                ),
                &["db_system_name", "db_operation_name"],
                &[0.001, 0.005, 0.01, 0.05, 0.25, 1.0],
            ),
            failures: registry
                .counter("fanfold_redis_failures_total", "Calls to Redis that failed"),
            resolved: Arc::default(),
            dependency: None,
        }
    }

    /// The instruments of one role.
    #[must_use]
    pub fn of_role(&self, broker: &Broker, role: &str) -> Self {
        Self {
            dependency: Some(Arc::new(broker.dependency("redis", role))),
            ..self.clone()
        }
    }

    /// Notes a call to Redis. `answered` says whether Redis said anything, and `failed` whether the
    /// call failed.
    pub fn called(&self, command: &[u8], took: Duration, (answered, failed): (bool, bool)) {
        let known = |name: &str| name.as_bytes().eq_ignore_ascii_case(command);
        let place = COMMANDS.iter().position(|name| known(name));
        let place = place.unwrap_or(COMMANDS.len() - 1);
        if let (Some(cell), Some(name)) = (self.resolved.get(place), COMMANDS.get(place)) {
            cell.get_or_init(|| self.durations.with(&["redis", name]))
                .took(took);
        }
        if failed {
            self.failures.inc();
        }
        if let Some(dependency) = &self.dependency {
            dependency.answered(answered);
            if answered {
                dependency.took(took);
            }
        }
    }
}

/// The instruments of the projector.
#[derive(Clone, Debug)]
pub struct Projector {
    projected: Family<Gauge>,
    level: Family<Gauge>,
    stopped: Family<Gauge>,
    pinned: Family<Gauge>,
    /// From the commit to the written view.
    pub view_delay: Histogram,
    /// From the commit to the event in the feed.
    pub feed_delay: Histogram,
    /// Views that were written.
    pub written: Counter,
    /// Chunks of views that Redis did not take.
    pub failed: Counter,
    /// Events that the feed took.
    pub published: Counter,
    /// The verifier.
    pub verifier: Verifier,
}

/// The instruments of the verifier.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// Requests that were compared with the log.
    pub requests: Counter,
    /// Views that differed, and were written anew.
    pub views: Counter,
    /// Events that the feed lacked, and that were published.
    pub events: Counter,
    /// Views that were removed because their requests have left the log.
    pub removed: Counter,
    verified: Family<Gauge>,
}

impl Verifier {
    /// Notes that a request of a shard was compared with the log.
    pub fn compared(&self, shard: u8) {
        self.requests.inc();
        self.verified
            .with(&[&shard.to_string()])
            .at(SystemTime::now());
    }
}

const SHARD: &[&str] = &["shard"];

impl Projector {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Projector);
        let findings = registry.counters(
            "fanfold_verify_findings_total",
            &["kind"],
            "What the verifier found wrong and mended: a `view` that differed from the log, an `event` that the feed lacked. Each is a bug or a loss of data",
        );
        let writes = registry.counters(
            "fanfold_view_writes_total",
            &["outcome"],
            "Views that were `written`, and chunks of views that Redis did not take (`failed`)",
        );
        Self {
            projected: registry.gauges(
                "fanfold_projected_commit_timestamp_seconds",
                SHARD,
                "When the last commit was stored whose events are in the feed",
            ),
            level: registry.gauges(
                "fanfold_views_level",
                SHARD,
                "Whether the views are where the feed is: 1, or 0 while they are caught up or Redis is away",
            ),
            stopped: registry.gauges(
                "fanfold_views_stopped",
                SHARD,
                "Views that were stopped at a commit that cannot be read or projected, as far as this instance knows",
            ),
            pinned: registry.gauges(
                "fanfold_projector_pinned",
                SHARD,
                "Whether this instance projects the shard: 1, or 0",
            ),
            view_delay: registry.histogram(
                "fanfold_view_delay_seconds",
                "From the commit to the written view, by the clocks of the broker and of this machine",
                DELAYS,
            ),
            feed_delay: registry.histogram(
                "fanfold_feed_delay_seconds",
                "From the commit to its events in the feed, by the clocks of the broker and of this machine",
                DELAYS,
            ),
            written: writes.with(&["written"]),
            failed: writes.with(&["failed"]),
            published: registry.counter("fanfold_feed_events_total", "Events that the feed took"),
            verifier: Verifier {
                requests: registry.counter(
                    "fanfold_verified_requests_total",
                    "Requests whose view and feed the verifier compared with the log",
                ),
                views: findings.with(&["view"]),
                events: findings.with(&["event"]),
                removed: registry.counter(
                    "fanfold_views_removed_total",
                    "Views that were removed because the log of their request is gone by age",
                ),
                verified: registry.gauges(
                    "fanfold_verified_timestamp_seconds",
                    SHARD,
                    "When the verifier last compared a request with the log",
                ),
            },
        }
    }

    /// Tells when the last commit was stored whose events are in the feed.
    pub fn projected(&self, shard: u8, at: SystemTime) {
        self.projected.with(&[&shard.to_string()]).at(at);
    }

    /// Tells where the views of a shard stand.
    pub fn stands(&self, shard: u8, is_level: bool, stopped: usize, is_pinned: bool) {
        let shard = shard.to_string();
        self.level.with(&[&shard]).is(is_level);
        self.stopped.with(&[&shard]).count(stopped as u64);
        self.pinned.with(&[&shard]).is(is_pinned);
    }
}
