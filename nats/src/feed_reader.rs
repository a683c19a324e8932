//! The reader of the lifecycle feed. Its durable consumer redelivers each event until the event is
//! answered.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;

use crate::topology::LIFECYCLE;
use crate::{Connection, Delivery, Error, subject};

/// How many events may wait for their answers. An event that is to come again much later is
/// postponed and answered.
const WAITING_MAX: i64 = 1_000;

/// The events of the feed with these names, from the time at which the reader was first opened.
pub struct FeedReader {
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
        let config = pull::Config {
            durable_name: Some(durable.to_owned()),
            filter_subjects: events
                .iter()
                .flat_map(|event| subject::events(event))
                .collect(),
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            ..pull::Config::default()
        };
        Self::of(connection, LIFECYCLE, config).await
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
        let stream = connection.jetstream.get_stream_no_info(stream).await;
        let stream = stream.map_err(Error::unavailable)?;
        // This call also updates an existing consumer that has another `ack_wait`.
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(Error::unavailable)?;
        let messages = consumer.messages().await.map_err(Error::unavailable)?;
        Ok(Self { messages })
    }

    /// Waits for the next event; `None` says that the connection is closed. Faults of the
    /// connection are waited out.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            match self.messages.next().await? {
                Ok(message) => return Some(Delivery::new(message)),
                Err(error) => tracing::debug!(%error, "reading the feed was interrupted"),
            }
        }
    }
}
