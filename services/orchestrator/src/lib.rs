//! The orchestrator: it processes events and reports, and decides the next steps.
//!
//! Three loops share the work. The [`outbox`] consumes the log and applies the effects of each
//! commit. It acks a commit once they are applied, so the log is the only queue of pending effects.
//! [`gather`] processes reports from workers and timers, many at once, and commits their outcomes.
//! The [`reconciler`] looks whether the queues lack something that an open request needs. Beside
//! them, the [`bulk_executor`] executes the bulk operations that people started.

mod advance;
mod border;
mod bulk_executor;
mod contain;
mod context;
mod deferred_timers;
mod dispatch;
mod effects;
mod error;
mod fetch;
mod gather;
mod memory_budget;
mod open_requests;
mod outbox;
mod outside;
mod queue_recovery;
mod ready;
mod reconciler;
mod reconsider;
mod resources;
mod sampler;
mod stop;
mod turns;
mod work;

use std::sync::Arc;
use std::time::Duration;

use domain::request::{Sequence, TraceRatio};
use nats::{Connection, Deliveries, First, Log, LogReader, Quarantine, Queues};
use runtime::{
    Aws, Deployment, InProcess, ReferencesConfig, Settings, Shutdown, TaskTypes, Tenants, Wrong,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use context::{Context, Suspects};
use reconciler::{QueueWatch, Reconciler};
use sampler::Sampler;

/// The settings that the orchestrator works with.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// How references are fetched.
    pub references: &'a ReferencesConfig,
    /// The credentials for `s3://` objects.
    pub aws: &'a Aws,
    /// The facts of the deployment.
    pub deployment: &'a Deployment,
    /// The task types.
    pub task_types: &'a TaskTypes,
    /// The share of ordinary traces that are kept, where traces are sent.
    pub traces: Option<TraceRatio>,
    /// What the file says of each tenant.
    pub tenants: &'a Tenants,
    /// How often all open requests are looked at.
    pub reconcile_interval: Duration,
}

impl<'a> Config<'a> {
    /// The parts of all settings.
    #[must_use]
    pub fn of(settings: &'a Settings) -> Self {
        Self {
            references: &settings.references,
            aws: &settings.aws,
            deployment: &settings.deployment,
            task_types: &settings.task_types,
            traces: settings
                .traces
                .is_on()
                .then_some(settings.traces.otel_traces_sampler_arg),
            tenants: &settings.tenants,
            reconcile_interval: settings.process.reconcile_interval,
        }
    }
}

/// Checks whether the orchestrator can run with these settings.
pub fn check(config: Config<'_>) -> Result<(), Wrong> {
    fetch::Fetchers::new(config.references, config.aws, config.tenants).map(|_| ())
}

/// Runs the orchestrator until it is asked to end. An error ends the process, and another instance
/// takes over.
pub async fn run(
    connection: Connection,
    log: Log,
    queues: Queues,
    in_process: InProcess,
    config: Config<'_>,
    shutdown: Shutdown,
) -> Result<(), nats::Error> {
    let opening = || open(&connection, config.deployment.shards);
    let Opened {
        suspects,
        fillers,
        shards,
    } = shutdown
        .patiently(nats::Error::is_transient, opening)
        .await?;
    let context = Context::new(connection.clone(), log, in_process, suspects, config)
        .map_err(|error| nats::Error::Unavailable(error.to_string()))?;
    let context = Arc::new(context);
    let mut loops = JoinSet::new();
    // Before any dispatch: this drops the content of a lost queue.
    let state = reconciler::look(&queues).await.unwrap_or_default();
    if let Err(error) = queues.remove_old_marks().await {
        tracing::debug!(%error, "could not remove the marks of older fillers");
    }
    let (sender, state) = watch::channel(state);
    let watch = QueueWatch {
        queues: queues.clone(),
        state: sender,
    };
    loops.spawn(watch.run(shutdown.clone()));
    for Shard {
        number: shard,
        began,
        commits,
        reports,
    } in shards
    {
        let (sender, receiver) = mpsc::channel(queue_recovery::AT_ONCE);
        let (standing, stands) = watch::channel(sampler::Standing::default());
        let reconciler = Reconciler {
            context: context.clone(),
            connection: connection.clone(),
            queues: queues.clone(),
            shard,
            outbox: sender,
            state: state.clone(),
            suspects: fillers.clone(),
            every: config.reconcile_interval,
            standing,
        };
        let sampler = Sampler {
            context: context.clone(),
            connection: connection.clone(),
            shard,
            standing: stands,
        };
        loops.spawn(sampler.run(shutdown.clone()));
        loops.spawn(reconciler.run(shutdown.clone()));
        loops.spawn(outbox::run(
            context.clone(),
            commits,
            receiver,
            (shard, began),
            shutdown.clone(),
        ));
        loops.spawn(gather::run(
            context.clone(),
            reports,
            shard,
            shutdown.clone(),
        ));
    }
    let executor = bulk_executor::of(&context, config.deployment);
    loops.spawn(bulk_executor::run(executor, shutdown.clone()));
    tracing::info!(shards = config.deployment.shards, "orchestrator runs");
    while let Some(ended) = loops.join_next().await {
        if ended.is_err() || !shutdown.is_soft() {
            return Err(nats::Error::Unavailable(
                "the orchestrator's loop ended".into(),
            ));
        }
    }
    Ok(())
}

/// What the orchestrator has opened at the broker.
struct Opened {
    suspects: Suspects,
    /// The marks of recoveries.
    fillers: Quarantine,
    shards: Vec<Shard>,
}

/// The consumers of a shard.
struct Shard {
    number: u8,
    /// The last commit when it was opened.
    began: Sequence,
    commits: Deliveries,
    reports: Deliveries,
}

async fn open(connection: &Connection, shards: u8) -> Result<Opened, nats::Error> {
    let suspects = Suspects {
        commits: Quarantine::open(connection, "orchestrator", First::Alone).await?,
        reports: Quarantine::open(connection, "gather", First::Alone).await?,
    };
    let fillers = Quarantine::open(connection, "filling", First::InCompany).await?;
    let mut opened = Vec::new();
    for number in 0..shards {
        opened.push(Shard {
            number,
            began: connection.extent(number).await?.last,
            commits: Deliveries::of_log(connection, number, LogReader::Orchestrator).await?,
            reports: Deliveries::of_reports(connection, number).await?,
        });
    }
    Ok(Opened {
        suspects,
        fillers,
        shards: opened,
    })
}
