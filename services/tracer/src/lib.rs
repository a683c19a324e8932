//! Traces: folds the log of each request that has ended into spans, and posts them to a collector as
//! OTLP over HTTP. A durable consumer of the feed holds the ends whose traces no collector has yet.

mod collector;
mod exporter;
mod folder;
mod otlp;

use std::collections::VecDeque;
use std::sync::Arc;

use history::trace::Sampling;
use nats::{Connection, Delivery, FeedReader, First, Log, Quarantine};
use runtime::{Deployment, Shutdown, TracesConfig, Wrong};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use collector::Collector;
use exporter::Exporter;
use folder::Folder;
use otlp::Service;

/// The consumer whose suspects these are.
const DURABLE: &str = "tracer";
/// How many ends are taken up together.
const BATCH: usize = 64;
/// How many signs of life are sent within the consumer's ack wait for the ends in hand.
const SIGNS_OF_LIFE: u32 = 3;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or the feed failed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] Wrong),
    /// The sending broke.
    #[error("sending traces broke: {0}")]
    Broken(#[from] JoinError),
}

/// Checks whether traces can be sent with these settings.
pub fn check(config: &TracesConfig) -> Result<(), Wrong> {
    // If another provider is already installed, it serves just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Collector::new(config).map(|_| ())
}

/// Sends traces until the shutdown begins. Ends whose traces did not arrive are given back.
pub async fn run(
    connection: Connection,
    log: Log,
    config: &TracesConfig,
    deployment: &Deployment,
    shutdown: Shutdown,
) -> Result<(), Error> {
    check(config)?;
    let suspects = Quarantine::open(&connection, DURABLE, First::InCompany).await?;
    let mut feed = FeedReader::of_tracer(&connection, deployment.ack_wait).await?;
    let exporter = Arc::new(Exporter {
        folder: Folder {
            log,
            suspects,
            sampling: Sampling {
                ratio: config.otel_traces_sampler_arg,
                slow: config.trace_slow,
            },
        },
        service: Service::new(config.resource()?),
        collector: Collector::new(config)?,
        batch_max_bytes: config.trace_batch_max_bytes,
        retry_longest: config.trace_retry_longest,
        shutdown: shutdown.clone(),
    });
    let mut signs = tokio::time::interval(deployment.ack_wait / SIGNS_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ends = Ends::default();
    let mut exporting = JoinSet::new();
    tracing::info!("traces are sent");
    loop {
        if exporting.is_empty() && !ends.waiting.is_empty() {
            let (exporter, batch) = (exporter.clone(), ends.take_up());
            exporting.spawn(async move { exporter.export(batch).await });
        }
        tokio::select! {
            event = feed.next() => ends.add(event),
            Some(ended) = exporting.join_next(), if !exporting.is_empty() => {
                ended?;
                ends.taken_up.clear();
            }
            _ = signs.tick() => ends.keep().await,
            () = shutdown.softly() => break,
        }
    }
    ends.give_back().await;
    let rest = async { exporting.join_next().await.transpose() };
    shutdown.unless_hard(rest).await.transpose()?;
    Ok(())
}

/// The ends of requests that this process has and has not answered. The broker limits their number.
#[derive(Default)]
struct Ends {
    waiting: VecDeque<Arc<Delivery>>,
    /// Those whose traces are being made and sent.
    taken_up: Vec<Arc<Delivery>>,
}

impl Ends {
    /// Adds an end. The broker may deliver one again that is here already, after a sign of life was
    /// lost. It takes an answer for either delivery.
    fn add(&mut self, event: Delivery) {
        let sequence = |event: &Delivery| event.place().ok().map(|place| place.sequence);
        let new = sequence(&event);
        let mut all = self.waiting.iter().chain(&self.taken_up);
        if !all.any(|known| sequence(known) == new) {
            self.waiting.push_back(Arc::new(event));
        }
    }

    fn take_up(&mut self) -> Vec<Arc<Delivery>> {
        let count = self.waiting.len().min(BATCH);
        self.taken_up = self.waiting.drain(..count).collect();
        self.taken_up.clone()
    }

    /// Tells the broker that these ends are still worked on.
    async fn keep(&self) {
        for event in self.waiting.iter().chain(&self.taken_up) {
            if let Err(error) = event.in_progress().await {
                tracing::debug!(%error, "could not extend the ack wait of an end");
            }
        }
    }

    /// Gives back what waits, so that another process has it at once.
    async fn give_back(&self) {
        for event in &self.waiting {
            if let Err(error) = event.nak(std::time::Duration::ZERO).await {
                tracing::debug!(%error, "an end could not be given back; it comes again");
            }
        }
    }
}
