//! The rate of the broker alone for the same number and size of messages. All messages are
//! published with many in flight, and those that Fanfold consumes are consumed and acked.

use std::time::Instant;

use async_nats::jetstream::{self, consumer::pull, context::ContextBuilder, stream};
use futures::{StreamExt, TryStreamExt};
use harness::World;

/// How many publishes are in flight.
const IN_FLIGHT: usize = 1_000;
/// How many messages of a stream are sent. More would not change the rate.
const MOST: u64 = 60_000;

/// The traffic of each stream.
pub struct Traffic(Vec<Through>);

struct Through {
    name: String,
    storage: stream::StorageType,
    messages: u64,
    bytes: u64,
    /// The size of a task message. The queue does not keep it.
    task_bytes: usize,
}

/// How many consumers read and ack each message of a stream.
fn consumers(stream: &str) -> usize {
    match stream {
        "TASKS" | "REPORTS" => 1,
        name if name.starts_with("REQUESTS") => 2,
        _ => 0,
    }
}

impl Traffic {
    pub async fn read(world: &World, task_bytes: usize) -> Self {
        let jetstream = world.jetstream().await;
        let streams: Vec<_> = jetstream.streams().try_collect().await.unwrap();
        Self(
            streams
                .into_iter()
                .map(|info| Through {
                    storage: info.config.storage,
                    name: info.config.name,
                    messages: info.state.last_sequence,
                    bytes: info.state.bytes,
                    task_bytes,
                })
                .collect(),
        )
    }

    pub fn since(&self, before: &Self) -> Self {
        let earlier = |name: &str| before.0.iter().find(|t| t.name == name);
        Self(
            self.0
                .iter()
                .map(|now| {
                    let then = earlier(&now.name);
                    Through {
                        storage: now.storage,
                        name: now.name.clone(),
                        messages: now.messages - then.map_or(0, |t| t.messages),
                        bytes: now.bytes.saturating_sub(then.map_or(0, |t| t.bytes)),
                        task_bytes: now.task_bytes,
                    }
                })
                .filter(|through| through.messages > 0)
                .collect(),
        )
    }

    pub fn messages(&self) -> u64 {
        self.0.iter().map(|t| t.messages).sum()
    }

    pub fn log_bytes(&self) -> u64 {
        let log = self.0.iter().filter(|t| t.name.starts_with("REQUESTS"));
        log.map(|t| t.bytes).sum()
    }
}

impl Through {
    /// The size of a message. A work queue keeps none, so the caller gives the size of a task or
    /// report.
    fn size(&self) -> usize {
        match self.name.as_str() {
            "TASKS" => self.task_bytes,
            "REPORTS" => 500,
            _ => usize::try_from(self.bytes / self.messages.max(1))
                .unwrap_or(0)
                .clamp(1, 900_000),
        }
    }
}

/// Requests per second of the broker alone, on fresh data.
#[allow(clippy::cast_precision_loss)] // Counts of a bench are far below 2^52.
pub async fn rate(sync: &str, traffic: &Traffic, requests: usize) -> f64 {
    let world = World::own_that_syncs(sync).await;
    let client = async_nats::connect(world.nats_url()).await.unwrap();
    let jetstream = ContextBuilder::new()
        .max_ack_inflight(IN_FLIGHT)
        .build(client);
    let most = traffic.0.iter().map(|t| t.messages).max().unwrap_or(1);
    let share = (MOST as f64 / most as f64).min(1.0);
    for through in &traffic.0 {
        let config = stream::Config {
            name: through.name.clone(),
            subjects: vec![format!("{}.>", through.name)],
            storage: through.storage,
            ..stream::Config::default()
        };
        jetstream.create_stream(config).await.unwrap();
    }
    let begun = Instant::now();
    let all = traffic
        .0
        .iter()
        .map(|through| one(&jetstream, through, share));
    futures::future::join_all(all).await;
    let seconds = begun.elapsed().as_secs_f64();
    requests as f64 * share / seconds
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
async fn one(jetstream: &jetstream::Context, through: &Through, share: f64) {
    let messages = ((through.messages as f64 * share) as u64).max(1);
    let consuming =
        (0..consumers(&through.name)).map(|_| consume(jetstream, &through.name, messages));
    let consuming = futures::future::join_all(consuming);
    let publishing = publish(jetstream, through, messages);
    futures::join!(consuming, publishing);
}

async fn publish(jetstream: &jetstream::Context, through: &Through, messages: u64) {
    let body = bytes::Bytes::from(vec![b'x'; through.size()]);
    let acks = futures::stream::iter(0..messages)
        .then(|n| jetstream.publish(format!("{}.{n}", through.name), body.clone()))
        .map(|sent| async move { sent.unwrap().await.unwrap() })
        .buffered(IN_FLIGHT / 5);
    acks.for_each(|_| std::future::ready(())).await;
}

async fn consume(jetstream: &jetstream::Context, stream: &str, messages: u64) {
    let config = pull::Config {
        max_ack_pending: 20_000,
        ..pull::Config::default()
    };
    let consumer = jetstream
        .create_consumer_on_stream(config, stream)
        .await
        .unwrap();
    let mut incoming = consumer
        .stream()
        .max_messages_per_batch(1_000)
        .messages()
        .await
        .unwrap();
    for _ in 0..messages {
        incoming.next().await.unwrap().unwrap().ack().await.unwrap();
    }
}
