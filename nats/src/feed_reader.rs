//! The reader of the lifecycle feed. Its durable consumer redelivers each event until the event is
//! answered.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;

use crate::topology::LIFECYCLE;
use crate::{Connection, Creates, Delivery, Error};

/// How many events may wait for their answers. An event that is to come again much later is
/// postponed and answered.
pub(crate) const WAITING_MAX: i64 = 1_000;
/// How often a reader that lacks a permission looks whether it may go on.
const HELD_BACK_LOOK: Duration = Duration::from_millis(500);

/// The events of the feed with these names, from the time at which the reader was first opened.
pub struct FeedReader {
    connection: Connection,
    messages: pull::Stream,
}

impl FeedReader {
    /// Opens the feed under a name, and continues where that name stopped. An event may be worked
    /// on for `ack_wait` without a sign of life.
    pub async fn open(
        connection: &Connection,
        durable: &str,
        events: &[&str],
        ack_wait: Duration,
    ) -> Result<Self, Error> {
        Self::of(
            connection,
            LIFECYCLE,
            Self::config(durable, events, ack_wait),
        )
        .await
    }

    /// The consumer of these events of the feed.
    pub(crate) fn config(durable: &str, events: &[&str], ack_wait: Duration) -> pull::Config {
        pull::Config {
            durable_name: Some(durable.to_owned()),
            filter_subjects: events.iter().map(|e| format!("lifecycle.{e}.*")).collect(),
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            ..pull::Config::default()
        }
    }

    /// Opens the consumer of a stream that has events of the feed.
    pub(crate) async fn of(
        connection: &Connection,
        stream: &str,
        config: pull::Config,
    ) -> Result<Self, Error> {
        let config = pull::Config {
            max_ack_pending: connection.ack_pending(WAITING_MAX),
            ..config
        };
        let name = config.durable_name.clone().unwrap_or_default();
        if connection.creates() != Creates::All {
            let consumer = connection.consumer(stream, &name).await?;
            let messages = consumer.messages().await.map_err(Error::unavailable)?;
            return Ok(Self::reading(connection, messages));
        }
        // This call also updates an existing consumer that has another `ack_wait`.
        let consumer = connection
            .jetstream
            .create_consumer_on_stream(config, stream);
        let consumer = consumer.await.map_err(|error| {
            connection.failed(format_args!("CONSUMER.CREATE.{stream}.{name}"), error)
        })?;
        let messages = consumer.messages().await.map_err(Error::unavailable)?;
        Ok(Self::reading(connection, messages))
    }

    fn reading(connection: &Connection, messages: pull::Stream) -> Self {
        Self {
            connection: connection.clone(),
            messages,
        }
    }

    /// Waits for the next event; `None` says that the connection is closed. Faults of the
    /// connection are waited out.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            // The client pulls the next events while this reader waits for them.
            while self.connection.is_held_back() {
                tokio::time::sleep(HELD_BACK_LOOK).await;
            }
            match self.messages.next().await? {
                Ok(message) => {
                    let delivery = Delivery::new(message, &self.connection.denied);
                    if !self.connection.is_held_back() {
                        return Some(delivery);
                    }
                    self.connection.give_back(&delivery).await;
                }
                Err(error) => tracing::debug!(%error, "reading the feed was interrupted"),
            }
        }
    }
}
