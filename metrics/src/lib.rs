//! What a process of Fanfold counts, and how it is told to Prometheus.
//!
//! Each part of Fanfold has a struct of instruments here, and gets it like any other dependency: a
//! process has one [`Metrics`], and there is no global registry. Only this crate names
//! prometheus-client. The instruments of a part that this process does not run exist and are not
//! told.
//!
//! What a process *did* is counted where it was done. What *is*, such as the length of a queue, is
//! told by the one instance that holds the shard, so that a sum over all instances is right.

mod broker;
mod catalogue;
mod counted;
mod delivery;
mod exposition;
mod family;
mod histogram;
mod http;
mod log_events;
mod process;
mod pulse;
mod registry;
mod requests;
mod shards;
mod tasks;
mod views;

pub use broker::{Broker, Commits, Dependency, Flights, Outcome as CommitOutcome};
pub use catalogue::{Entry, Part, catalogue};
pub use counted::{Counter, Gauge, Level, Mirror, since_1970};
pub use delivery::Webhooks;
pub use exposition::{Exposition, Format};
pub use family::{Family, OTHER};
pub use histogram::{Histogram, Traced};
pub use http::{Http, Submissions};
pub use log_events::LogEvents;
pub use process::{Allocator, Process};
pub use pulse::{Pulse, Pulses, Silent};
pub use registry::Registry;
pub use requests::{Fetches, Orchestrator, Reports, Requests, Timers};
pub use shards::{Consumer, Open, Shards, Store};
pub use tasks::{TaskType, Tasks};
pub use views::{Projector, Verifier, Views};

use std::sync::Arc;

/// All instruments of a process. Copies share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The process itself.
    pub process: Process,
    /// Its log.
    pub log_events: LogEvents,
    /// The loops that must turn.
    pub pulses: Pulses,
    /// Commits and other publishes.
    pub broker: Broker,
    /// HTTP.
    pub http: Http,
    /// Submissions and admission.
    pub submissions: Submissions,
    /// The orchestrator.
    pub orchestrator: Orchestrator,
    /// What the instance that holds a shard tells of it.
    pub shards: Shards,
    /// The projector.
    pub projector: Projector,
    /// The views in Redis.
    pub views: Views,
    /// The worker.
    pub tasks: Tasks,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// The text of a scrape.
    pub exposition: Arc<Exposition>,
}

impl Metrics {
    /// The instruments of a process that runs these parts.
    #[must_use]
    pub fn of(parts: &[Part]) -> Self {
        let mut registry = Registry::of(parts);
        Self {
            process: Process::new(&mut registry),
            log_events: LogEvents::new(&mut registry),
            pulses: Pulses::new(&mut registry),
            broker: Broker::new(&mut registry),
            http: Http::new(&mut registry),
            submissions: Submissions::new(&mut registry),
            orchestrator: Orchestrator::new(&mut registry),
            shards: Shards::new(&mut registry),
            projector: Projector::new(&mut registry),
            views: Views::new(&mut registry),
            tasks: Tasks::new(&mut registry),
            webhooks: Webhooks::new(&mut registry),
            exposition: Arc::new(Exposition::new(registry)),
        }
    }
}

impl Default for Metrics {
    /// Instruments that nobody reads, for tools and tests.
    fn default() -> Self {
        Self::of(&[])
    }
}
