//! The reader of the lifecycle feed. Its durable consumer redelivers each event until the event is
//! answered.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use futures::StreamExt;
use tokio::time::Instant;

use domain::request::EventKind;

use crate::topology::LIFECYCLE;
use crate::{Connection, Creates, Delivery, Error, subject};

/// How many events may wait for their answers. An event that is to come again much later is
/// postponed and answered.
pub(crate) const WAITING_MAX: i64 = 1_000;
/// The consumer of the role that makes traces.
const TRACER: &str = "tracer";
/// How often a reader that lacks a permission looks whether it may go on.
const HELD_BACK_LOOK: Duration = Duration::from_millis(500);

/// How often the reader learns up to where its events are answered.
const FLOOR_EVERY: Duration = Duration::from_secs(10);
/// The pause before the reader tries again to make a consumer that is missing.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

/// The events of the feed with these names, from the time at which the reader was first opened.
pub struct FeedReader {
    connection: Connection,
    stream: String,
    config: pull::Config,
    consumer: Consumer<pull::Config>,
    messages: pull::Stream,
    /// The last sequence up to which every event was answered, as of `floor_at`.
    floor: u64,
    floor_at: Instant,
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

    /// The ends of requests for the role that makes traces, from the time at which that role or the
    /// topology first made its consumer.
    pub async fn of_tracer(connection: &Connection, ack_wait: Duration) -> Result<Self, Error> {
        Self::of(connection, LIFECYCLE, Self::tracer(ack_wait)).await
    }

    /// The consumer of the role that makes traces.
    pub(crate) fn tracer(ack_wait: Duration) -> pull::Config {
        Self::ends(TRACER, ack_wait)
    }

    /// The consumer of the ends of requests.
    pub(crate) fn ends(durable: &str, ack_wait: Duration) -> pull::Config {
        let ends = EventKind::all().filter(|kind| kind.is_terminal());
        let ends: Vec<&str> = ends.map(EventKind::name).collect();
        pull::Config {
            max_ack_pending: WAITING_MAX,
            ..Self::config(durable, &ends, ack_wait)
        }
    }

    /// The consumer of these events of the feed.
    pub(crate) fn config(durable: &str, events: &[&str], ack_wait: Duration) -> pull::Config {
        pull::Config {
            durable_name: Some(durable.to_owned()),
            filter_subjects: events
                .iter()
                .flat_map(|event| subject::events(event))
                .collect(),
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
        let (consumer, messages) = open(connection, stream, config.clone()).await?;
        Ok(Self {
            connection: connection.clone(),
            stream: stream.to_owned(),
            floor: consumer.cached_info().ack_floor.stream_sequence,
            floor_at: Instant::now(),
            config,
            consumer,
            messages,
        })
    }

    /// Waits for the next event. Faults of the connection are waited out, and a consumer that was
    /// deleted is made again. The future is safe to drop.
    pub async fn next(&mut self) -> Delivery {
        loop {
            // The client pulls the next events while this reader waits for them.
            while self.connection.is_held_back() {
                tokio::time::sleep(HELD_BACK_LOOK).await;
            }
            let look = self.floor_at + FLOOR_EVERY;
            if Instant::now() >= look {
                self.note_floor().await;
                continue;
            }
            match tokio::time::timeout_at(look, self.messages.next()).await {
                Ok(Some(Ok(message))) => {
                    let delivery = Delivery::new(message, &self.connection.denied);
                    if !self.connection.is_held_back() {
                        return delivery;
                    }
                    self.connection.give_back(&delivery).await;
                }
                Ok(Some(Err(error))) if !is_gone(&error) => {
                    tracing::debug!(%error, "reading the feed was interrupted");
                }
                Ok(gone) => {
                    tracing::warn!(?gone, "a consumer of the feed is missing and is made again");
                    self.open_again().await;
                }
                Err(_) => {}
            }
        }
    }

    /// Notes up to where events are answered, so that a consumer that is made again goes on there.
    async fn note_floor(&mut self) {
        self.floor_at = Instant::now();
        match self.consumer.info().await {
            Ok(info) => self.floor = info.ack_floor.stream_sequence,
            Err(error) => tracing::debug!(%error, "the state of a consumer is not to be had"),
        }
    }

    /// Makes the consumer again. It goes on behind the last event that is known to be answered:
    /// events after that come again, and none is left out.
    async fn open_again(&mut self) {
        loop {
            let config = pull::Config {
                deliver_policy: DeliverPolicy::ByStartSequence {
                    start_sequence: self.floor + 1,
                },
                ..self.config.clone()
            };
            match open(&self.connection, &self.stream, config).await {
                Ok((consumer, messages)) => {
                    (self.consumer, self.messages) = (consumer, messages);
                    return;
                }
                Err(error) => tracing::debug!(%error, "a consumer cannot be made yet"),
            }
            tokio::time::sleep(ABSENT_PAUSE).await;
        }
    }
}

/// Opens a consumer, and makes it where it is missing and this process may make it.
async fn open(
    connection: &Connection,
    stream: &str,
    mut config: pull::Config,
) -> Result<(Consumer<pull::Config>, pull::Stream), Error> {
    let name = config.durable_name.clone().unwrap_or_default();
    let known = connection.consumer(stream, &name).await;
    let consumer = if connection.creates() == Creates::All {
        // The beginning of a consumer cannot change. One that was made again begins elsewhere.
        if let Ok(known) = &known {
            config.deliver_policy = known.cached_info().config.deliver_policy;
        }
        // This call also updates an existing consumer that has another `ack_wait`.
        let made = connection
            .jetstream
            .create_consumer_on_stream(config, stream);
        made.await.map_err(|error| {
            connection.failed(format_args!("CONSUMER.CREATE.{stream}.{name}"), error)
        })?
    } else {
        known?
    };
    let messages = consumer.messages().await.map_err(Error::unavailable)?;
    Ok((consumer, messages))
}

/// Whether an error says that there is no consumer any more.
fn is_gone(error: &pull::MessagesError) -> bool {
    matches!(
        error.kind(),
        pull::MessagesErrorKind::ConsumerDeleted | pull::MessagesErrorKind::NoResponders
    )
}
