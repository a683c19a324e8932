//! Events of the feed whose delivery is postponed. Each is a message schedule of the broker, so it
//! holds no place among the messages that a consumer works on, however long it waits.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{self, RetentionPolicy, StorageType};

use crate::feed_reader::WAITING_MAX;
use crate::topology::{LIFECYCLE, WEBHOOKS};
use crate::{Connection, Delivery, Error, FeedReader, subject};

/// The consumer of the feed that the webhooks have.
const FEED_DURABLE: &str = "webhooks";
/// The consumer of the events that are due.
const DURABLE: &str = "due";
/// How many attempts were made before the event was postponed.
const ATTEMPTS: &str = "Fanfold-Attempts";
/// The stream of postponed events. An event waits no longer than the log of its request is kept.
pub(crate) fn stream(replicas: usize, log_age: Duration) -> stream::Config {
    stream::Config {
        name: WEBHOOKS.into(),
        subjects: vec![subject::DUE.into(), subject::POSTPONED.into()],
        storage: StorageType::File,
        num_replicas: replicas,
        retention: RetentionPolicy::WorkQueue,
        max_age: log_age,
        allow_message_schedules: true,
        ..stream::Config::default()
    }
}

/// The consumers of the webhooks, each with its stream: of the feed, and of the events that are due.
pub(crate) fn consumers(ack_wait: Duration) -> [(&'static str, pull::Config); 2] {
    [
        (LIFECYCLE, FeedReader::ends(FEED_DURABLE, ack_wait)),
        (WEBHOOKS, due(ack_wait)),
    ]
}

fn due(ack_wait: Duration) -> pull::Config {
    pull::Config {
        durable_name: Some(DURABLE.to_owned()),
        filter_subject: subject::DUE.into(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_ack_pending: WAITING_MAX,
        ..pull::Config::default()
    }
}

/// Postpones events, and reads them when they are due.
#[derive(Clone)]
pub struct Postponed {
    connection: Connection,
}

impl Postponed {
    /// Postpones events over this connection, in the stream that the topology declares.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Stores an event to come again after a pause. The caller then acks it.
    pub async fn add(&self, event: &Delivery, attempts: u32, pause: Duration) -> Result<(), Error> {
        let id = event.header("ce-id").unwrap_or_default();
        let due = subject::due(event.request(), id);
        let at = self.connection.broker_now() + pause;
        let mut headers = HeaderMap::new();
        for (name, values) in event.message().headers.iter().flat_map(HeaderMap::iter) {
            // The broker would take its own headers for instructions.
            if let Some(value) = values.first()
                && !AsRef::<str>::as_ref(name).starts_with("Nats-")
            {
                headers.insert(name.clone(), value.clone());
            }
        }
        headers.insert(ATTEMPTS, attempts.to_string());
        headers.insert(NATS_SCHEDULE, format!("@at {at}"));
        headers.insert(NATS_SCHEDULE_TARGET, due.as_str());
        let body = event.message().payload.clone();
        let stored = self
            .connection
            .publish(subject::postponed(&due), headers, body);
        stored.await.map(|_| ()).map_err(Error::of_refusal)
    }

    /// The ends of requests in the feed, from the time at which the reader was first opened.
    pub async fn ends(&self, ack_wait: Duration) -> Result<FeedReader, Error> {
        let [(_, feed), _] = consumers(ack_wait);
        FeedReader::of(&self.connection, LIFECYCLE, feed).await
    }

    /// The events that are due, from now on.
    pub async fn read(&self, ack_wait: Duration) -> Result<FeedReader, Error> {
        FeedReader::of(&self.connection, WEBHOOKS, due(ack_wait)).await
    }

    /// How many attempts were made of an event before it came: none of an event of the feed itself.
    #[must_use]
    pub fn attempts(event: &Delivery) -> u32 {
        let attempts = event.header(ATTEMPTS);
        attempts
            .and_then(|attempts| attempts.parse().ok())
            .unwrap_or(0)
    }

    /// Whether an event comes from here, and not from the feed.
    #[must_use]
    pub fn is_due(event: &Delivery) -> bool {
        event.header(ATTEMPTS).is_some()
    }
}
