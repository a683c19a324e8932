//! What is, as far as the holder of a shard tells it. An instance that loses its shard tells nothing
//! of it any more, so that a sum over all instances counts everything once.

use std::time::SystemTime;

use crate::catalogue::Part;
use crate::counted::{Counter, Gauge, Level as _};
use crate::family::Family;
use crate::registry::Registry;

/// The instruments of what is.
#[derive(Clone, Debug)]
pub struct Shards {
    pinned: Family<Gauge>,
    open: Family<Gauge>,
    stuck: Family<Gauge>,
    unreadable: Family<Gauge>,
    oldest: Family<Gauge>,
    pending: Family<Gauge>,
    unacked: Family<Gauge>,
    redelivered: Family<Gauge>,
    waiting_pulls: Family<Gauge>,
    oldest_pending: Family<Gauge>,
    bytes: Family<Gauge>,
    bytes_max: Family<Gauge>,
    messages: Family<Gauge>,
    first: Family<Gauge>,
    sampled: Gauge,
    /// Samples of the broker that failed.
    pub failed: Counter,
}

/// The position of a consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its stream.
    pub stream: String,
    /// Its name.
    pub name: String,
    /// The messages that were not delivered yet.
    pub pending: u64,
    /// The messages that were delivered and not acked yet.
    pub unacked: u64,
    /// The messages that were delivered more than once and not acked yet.
    pub redelivered: u64,
    /// The pulls that wait for messages.
    pub waiting_pulls: u64,
    /// When the oldest pending message was stored; `None` where none is pending or it is not known.
    pub oldest_pending: Option<SystemTime>,
}

/// The content of a stream.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its name.
    pub stream: String,
    /// Its bytes.
    pub bytes: u64,
    /// The most bytes that it may have; `None` where there is no limit.
    pub bytes_max: Option<u64>,
    /// Its messages.
    pub messages: u64,
    /// When its first message was stored.
    pub first: Option<SystemTime>,
}

/// What is open in a shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    /// The open requests.
    pub requests: u64,
    /// Those without progress for longer than their timeouts explain.
    pub stuck: u64,
    /// Those with a commit that this build cannot read.
    pub unreadable: u64,
    /// When the oldest of them was received or redriven.
    pub oldest: Option<SystemTime>,
}

const CONSUMER: &[&str] = &["stream", "consumer"];

impl Shards {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Orchestrator);
        Self {
            pinned: registry.gauges(
                "fanfold_pinned",
                &["role", "shard"],
                "Whether this instance holds the shard: 1, or 0. Where the broker has given the shard to nobody yet, because no commit came since it was given up, every instance tells 1",
            ),
            open: registry.gauges(
                "fanfold_requests_open",
                &["shard"],
                "Requests that have not ended",
            ),
            stuck: registry.gauges(
                "fanfold_requests_stuck",
                &["shard"],
                "Open requests without progress for a minute longer than their timeouts explain",
            ),
            unreadable: registry.gauges(
                "fanfold_requests_unreadable",
                &["shard"],
                "Open requests with a commit that this build cannot read",
            ),
            oldest: registry.gauges(
                "fanfold_oldest_open_request_timestamp_seconds",
                &["shard"],
                "When the oldest open request was received or redriven; absent where none is open",
            ),
            pending: registry.gauges(
                "fanfold_consumer_pending_messages",
                CONSUMER,
                "Messages that the consumer was not given yet",
            ),
            unacked: registry.gauges(
                "fanfold_consumer_unacked_messages",
                CONSUMER,
                "Messages that the consumer was given and has not acked. For the orchestrator this is no backlog: it keeps a commit until its timers are set or no longer wanted",
            ),
            redelivered: registry.gauges(
                "fanfold_consumer_redelivered_messages",
                CONSUMER,
                "Unacked messages that the consumer was given more than once",
            ),
            waiting_pulls: registry.gauges(
                "fanfold_consumer_waiting_pulls",
                CONSUMER,
                "Requests for messages that wait at the broker; 0 means that nobody asks, or that all who ask are busy",
            ),
            oldest_pending: registry.gauges(
                "fanfold_consumer_oldest_pending_timestamp_seconds",
                CONSUMER,
                "When the oldest message was stored that the consumer was not given yet; absent where there is none",
            ),
            bytes: registry.gauges("fanfold_store_bytes", &["stream"], "Bytes of a stream"),
            bytes_max: registry.gauges(
                "fanfold_store_max_bytes",
                &["stream"],
                "Bytes that a stream may have; absent where it has no limit of its own",
            ),
            messages: registry.gauges(
                "fanfold_store_messages",
                &["stream"],
                "Messages of a stream. `DEAD_LETTERS` has one for each dead letter, `WEBHOOKS` one for each webhook that waits",
            ),
            first: registry.gauges(
                "fanfold_store_first_timestamp_seconds",
                &["stream"],
                "When the first message of a stream was stored that is still there",
            ),
            sampled: registry.gauge(
                "fanfold_sampled_timestamp_seconds",
                "When the broker was last asked for the figures of consumers and streams; 0 where another instance does that",
            ),
            failed: registry.counter(
                "fanfold_sample_failures_total",
                "Times that the broker did not answer when it was asked for the figures of consumers and streams",
            ),
        }
    }

    /// Tells whether this instance holds a shard.
    pub fn holds(&self, role: &str, shard: u8, is_pinned: bool) {
        self.pinned.with(&[role, &shard.to_string()]).is(is_pinned);
    }

    /// Tells what is open in a shard that this instance holds; `None` once it holds it no longer.
    pub fn open(&self, shard: u8, open: Option<Open>) {
        let shard = shard.to_string();
        let Some(open) = open else {
            for family in [&self.open, &self.stuck, &self.unreadable, &self.oldest] {
                family.retain(|key| key.first().is_none_or(|key| **key != *shard));
            }
            return;
        };
        let key = [shard.as_str()];
        self.open.with(&key).count(open.requests);
        self.stuck.with(&key).count(open.stuck);
        self.unreadable.with(&key).count(open.unreadable);
        told_or_absent(&self.oldest, &key, open.oldest);
    }

    /// Tells the consumers of some streams. Those of these streams that are no longer there are no
    /// longer told.
    pub fn consumers(&self, streams: &[&str], consumers: &[Consumer]) {
        let is_there = |stream: &str, name: &str| {
            let mut all = consumers.iter();
            !streams.contains(&stream) || all.any(|c| c.stream == stream && c.name == name)
        };
        for family in [
            &self.pending,
            &self.unacked,
            &self.redelivered,
            &self.waiting_pulls,
            &self.oldest_pending,
        ] {
            family.retain(|key| matches!(key, [stream, name] if is_there(stream, name)));
        }
        for consumer in consumers {
            let key = [consumer.stream.as_str(), consumer.name.as_str()];
            self.pending.with(&key).count(consumer.pending);
            self.unacked.with(&key).count(consumer.unacked);
            self.redelivered.with(&key).count(consumer.redelivered);
            self.waiting_pulls.with(&key).count(consumer.waiting_pulls);
            told_or_absent(&self.oldest_pending, &key, consumer.oldest_pending);
        }
    }

    /// Tells some streams. Those of them that are no longer there are no longer told.
    pub fn stores(&self, streams: &[&str], stores: &[Store]) {
        let is_there = |stream: &str| {
            let mut all = stores.iter();
            !streams.contains(&stream) || all.any(|store| store.stream == stream)
        };
        for family in [&self.bytes, &self.bytes_max, &self.messages, &self.first] {
            family.retain(|key| matches!(key, [stream] if is_there(stream)));
        }
        for store in stores {
            let key = [store.stream.as_str()];
            self.bytes.with(&key).count(store.bytes);
            self.messages.with(&key).count(store.messages);
            if let Some(most) = store.bytes_max {
                self.bytes_max.with(&key).count(most);
            }
            told_or_absent(&self.first, &key, store.first);
        }
    }

    /// Tells when the broker was last asked; `None` where another instance asks it.
    pub fn sampled(&self, at: Option<SystemTime>) {
        self.sampled.at(at.unwrap_or(SystemTime::UNIX_EPOCH));
    }
}

fn told_or_absent(family: &Family<Gauge>, key: &[&str], at: Option<SystemTime>) {
    match at {
        Some(at) => family.with(key).at(at),
        None => family.retain(|known| known.iter().zip(key).any(|(known, key)| known != key)),
    }
}
