//! Events of the feed whose delivery is postponed. Each is a message schedule of the broker, so it
//! holds no place among the messages that a consumer works on, however long it waits.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{self, RetentionPolicy, StorageType};

use crate::declare::create_stream;
use crate::{Connection, Delivery, Error, FeedReader, subject};

/// The stream of postponed events.
const WEBHOOKS: &str = "WEBHOOKS";
/// The consumer of the events that are due.
const DURABLE: &str = "due";
/// How many attempts were made before the event was postponed.
const ATTEMPTS: &str = "Fanfold-Attempts";
/// The size of the stream where the account wants a limit on every stream.
const MAX_BYTES: i64 = 64 * 1024 * 1024;

/// Postpones events, and reads them when they are due.
#[derive(Clone)]
pub struct Postponed {
    connection: Connection,
}

impl Postponed {
    /// Opens the stream, and creates it where it is missing. An event waits no longer than the log
    /// of its request is kept.
    pub async fn open(
        connection: &Connection,
        replicas: usize,
        log_age: Duration,
    ) -> Result<Self, Error> {
        let account = connection.jetstream.query_account().await;
        let limits = account.map_err(Error::unavailable)?.limits;
        let config = stream::Config {
            name: WEBHOOKS.into(),
            subjects: vec![subject::DUE.into(), subject::POSTPONED.into()],
            storage: StorageType::File,
            num_replicas: replicas,
            retention: RetentionPolicy::WorkQueue,
            max_age: log_age,
            max_bytes: if limits.max_bytes_required {
                MAX_BYTES
            } else {
                -1
            },
            allow_message_schedules: true,
            ..stream::Config::default()
        };
        create_stream(connection, config).await?;
        let connection = connection.clone();
        Ok(Self { connection })
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

    /// The events that are due, from now on.
    pub async fn read(&self, ack_wait: Duration) -> Result<FeedReader, Error> {
        let config = pull::Config {
            durable_name: Some(DURABLE.to_owned()),
            filter_subject: subject::DUE.into(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            ..pull::Config::default()
        };
        FeedReader::of(&self.connection, WEBHOOKS, config).await
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
