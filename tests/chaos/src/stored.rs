//! What the streams hold in the end, read without any code of the product.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt as _;
use serde_json::Value;

/// How often a stream is read before the run gives up on it.
const READS: usize = 10;
/// How long the broker may take to send the next message.
const NEXT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(2);
/// The most bytes of a commit once decompressed.
const COMMIT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// A stored message.
pub struct Stored {
    pub sequence: u64,
    pub subject: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Stored {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }
}

/// Reads every message of a stream. A replica that is behind ends early, so a stream is read until
/// its last message, as its leader knows it, is there.
pub async fn read(jetstream: &Context, stream: &str) -> anyhow::Result<Vec<Stored>> {
    let mut last = String::new();
    for _ in 0..READS {
        match read_once(jetstream, stream).await {
            Ok(messages) => return Ok(messages),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("{stream} could not be read whole: {last}")
}

async fn read_once(jetstream: &Context, name: &str) -> anyhow::Result<Vec<Stored>> {
    let stream = jetstream.get_stream(name).await?;
    let state = stream.cached_info().state.clone();
    if state.messages == 0 {
        return Ok(Vec::new());
    }
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_mins(1),
        memory_storage: true,
        num_replicas: 1,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    let mut all = Vec::new();
    loop {
        let message = tokio::time::timeout(NEXT, messages.next()).await;
        let message = message.context("the broker sends nothing more")?;
        let message = message.context("reading ended")??;
        let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let message = message.message;
        all.push(Stored {
            sequence,
            subject: message.subject.to_string(),
            headers: message.headers.unwrap_or_default(),
            body: message.payload.to_vec(),
        });
        if pending == 0 && sequence >= state.last_sequence {
            break;
        }
    }
    if (all.len() as u64) < state.messages {
        bail!("{} of {} messages", all.len(), state.messages);
    }
    Ok(all)
}

/// One event of a request.
pub struct Event {
    pub sequence: u64,
    pub index: usize,
    pub kind: String,
    pub data: Value,
}

impl Event {
    pub fn is_end(&self) -> bool {
        ["succeeded", "failed", "cancelled"].contains(&self.kind.as_str())
    }

    /// The group and the number of the task that the event is about.
    pub fn task(&self) -> (u64, u64) {
        let number = |name: &str| self.data[name].as_u64().unwrap_or(u64::MAX);
        (number("group"), number("task"))
    }
}

/// The log: each request with its events, and what is wrong with the chains of commits.
#[derive(Default)]
pub struct Log {
    pub requests: BTreeMap<String, Vec<Event>>,
    pub commits: usize,
    pub broken: Vec<(String, String)>,
}

impl Log {
    pub async fn read(jetstream: &Context, shards: u8) -> anyhow::Result<Self> {
        let mut log = Self::default();
        for shard in 0..shards {
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for message in read(jetstream, &format!("REQUESTS_{shard}")).await? {
                log.take(&message, &mut last)?;
            }
        }
        Ok(log)
    }

    fn take(&mut self, message: &Stored, last: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
        let request = message.subject.rsplit('.').next().unwrap_or("").to_owned();
        let expected = message.header("Nats-Expected-Last-Subject-Sequence");
        let before = last.insert(request.clone(), message.sequence).unwrap_or(0);
        if expected != before.to_string() {
            let text = format!(
                "commit {} says it follows {expected}, but {before} is before it",
                message.sequence
            );
            self.broken.push((request.clone(), text));
        }
        let unpacked;
        let body = if message.header("Fanfold-Encoding") == "zstd" {
            unpacked = zstd::bulk::decompress(&message.body, COMMIT_MAX_BYTES)?;
            &unpacked
        } else {
            &message.body
        };
        let events: Vec<Value> = serde_json::from_slice(body)?;
        self.commits += 1;
        let known = self.requests.entry(request).or_default();
        for (index, event) in events.into_iter().enumerate() {
            let (kind, data) = match event {
                Value::String(kind) => (kind, Value::Null),
                Value::Object(one) => one.into_iter().next().context("an empty event")?,
                other => bail!("an event that is {other}"),
            };
            known.push(Event {
                sequence: message.sequence,
                index,
                kind,
                data,
            });
        }
        Ok(())
    }
}
