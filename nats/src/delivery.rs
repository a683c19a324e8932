//! What a pinned consumer delivers to the one instance that holds it.

use std::time::Duration;

use async_nats::header::IntoHeaderName;
use async_nats::jetstream::consumer::pull::{MessagesError, MessagesErrorKind};
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use domain::request::{RequestId, TaskId, TraceParent};
use futures::{StreamExt, stream::ReadyChunks};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::topology::{PINNED, REPORTS, report_consumer_name};
use crate::{Commit, Connection, Error, LogReader, Topology, commit, subject, tasks, trace};

/// How long one pull waits at the broker; well below [`Topology::takeover_after`].
const PULL_EXPIRY: Duration = Duration::from_secs(2);
/// The broker's sign of life within a pull.
const PULL_HEARTBEAT: Duration = Duration::from_millis(900);
/// How many messages a pull asks for.
const PULL_BATCH: usize = 1_000;
/// The pause before a consumer that is gone is looked for again.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// The messages of a consumer, handed on in chunks: all that are there, up to some hundreds.
pub struct Deliveries {
    connection: Connection,
    stream: String,
    consumer: String,
    chunks: ReadyChunks<pull::Stream>,
    /// The consumer is gone, as with a queue that is made anew: when it is looked for again.
    reopen_at: Option<Instant>,
}

impl Deliveries {
    /// The most messages handed on at once.
    pub const CHUNK: usize = 500;

    /// The log of a shard as the orchestrator or the projector reads it.
    pub async fn of_log(
        connection: &Connection,
        shard: u8,
        reader: LogReader,
    ) -> Result<Self, Error> {
        Self::open(connection, &Topology::log_stream(shard), reader.name()).await
    }

    /// The reports of a shard.
    pub async fn of_reports(connection: &Connection, shard: u8) -> Result<Self, Error> {
        Self::open(connection, REPORTS, &report_consumer_name(shard)).await
    }

    async fn open(connection: &Connection, stream: &str, consumer: &str) -> Result<Self, Error> {
        Ok(Self {
            chunks: pull(connection, stream, consumer).await?,
            connection: connection.clone(),
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            reopen_at: None,
        })
    }

    /// The next chunk, at least one message; none when the connection is closed. Faults of the
    /// connection are logged and waited out: the broker delivers again what was not acked.
    pub async fn next(&mut self) -> Option<Vec<Delivery>> {
        loop {
            if let Some(at) = self.reopen_at {
                tokio::time::sleep_until(at).await;
                self.reopen().await;
                continue;
            }
            let mut deliveries = Vec::new();
            for message in self.chunks.next().await? {
                match message {
                    Ok(message) => deliveries.push(Delivery { message }),
                    Err(error) => self.interrupted(&error),
                }
            }
            if !deliveries.is_empty() {
                return Some(deliveries);
            }
        }
    }

    fn interrupted(&mut self, error: &MessagesError) {
        tracing::debug!(%error, "a pull was interrupted");
        if let MessagesErrorKind::ConsumerDeleted | MessagesErrorKind::NoResponders = error.kind() {
            self.reopen_at = Some(Instant::now() + REOPEN_PAUSE);
        }
    }

    /// Goes on with the consumer that took the place of one that is gone, where it is there.
    async fn reopen(&mut self) {
        match pull(&self.connection, &self.stream, &self.consumer).await {
            Ok(chunks) => {
                self.chunks = chunks;
                self.reopen_at = None;
            }
            Err(error) => {
                tracing::debug!(%error, "a consumer that is gone is not back yet");
                self.reopen_at = Some(Instant::now() + REOPEN_PAUSE);
            }
        }
    }
}

async fn pull(
    connection: &Connection,
    stream: &str,
    consumer: &str,
) -> Result<ReadyChunks<pull::Stream>, Error> {
    let consumer: PullConsumer = connection
        .jetstream
        .get_consumer_from_stream(consumer, stream)
        .await
        .map_err(Error::unavailable)?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(PULL_BATCH)
        .expires(PULL_EXPIRY)
        .heartbeat(PULL_HEARTBEAT)
        .group(PINNED)
        .messages()
        .await
        .map_err(Error::unavailable)?;
    Ok(messages.ready_chunks(Deliveries::CHUNK))
}

/// One delivered message.
pub struct Delivery {
    message: Message,
}

/// Where a delivered message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its sequence in its stream.
    pub sequence: u64,
    /// When the broker stored it.
    pub stored_at: Timestamp,
    /// How often it was delivered, this time included.
    pub delivered: u32,
}

impl Delivery {
    pub(crate) fn new(message: Message) -> Self {
        Self { message }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// The request that its subject names: the log and the reports have it there.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        subject::request(self.subject(), 2)
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.message.payload
    }

    /// One of its headers.
    #[must_use]
    pub fn header(&self, name: impl IntoHeaderName) -> Option<&str> {
        let headers = self.message.headers.as_ref()?;
        headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// Where in a trace of the caller's it belongs.
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        trace::of(self.message.headers.as_ref())
    }

    /// The commit it is, for a delivery from the log.
    pub fn commit(&self) -> Result<Commit, Error> {
        let Place {
            sequence,
            stored_at: at,
            ..
        } = self.place()?;
        let empty = async_nats::HeaderMap::new();
        let headers = self.message.headers.as_ref().unwrap_or(&empty);
        commit::decode(self.subject(), sequence, at, headers, self.body())
    }

    /// The task, the run and the attempt it is, as far as they can be read, for a delivery of the
    /// work queue.
    #[must_use]
    pub fn attempt(&self) -> Option<(TaskId, u32, u32)> {
        let delivered = self.place().ok()?.delivered;
        let (before, run) = tasks::counts(self);
        let id = subject::task_id(self.subject())?;
        Some((id, run, before.saturating_add(delivered)))
    }

    /// Where it stands in its stream.
    pub fn place(&self) -> Result<Place, Error> {
        let info = self.message.info().map_err(|error| {
            Error::corrupt(format!("the delivery of {}", self.subject()), error)
        })?;
        let at = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos())
            .map_err(|error| Error::corrupt(format!("the time of {}", self.subject()), error))?;
        let delivered = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        Ok(Place {
            sequence: info.stream_sequence,
            stored_at: at,
            delivered,
        })
    }

    /// Whether it was delivered before.
    #[must_use]
    pub fn comes_again(&self) -> bool {
        self.place().is_ok_and(|place| place.delivered > 1)
    }

    /// Says that it is done.
    pub async fn ack(&self) -> Result<(), Error> {
        self.message.ack().await.map_err(Error::unavailable)
    }

    /// Says that it is done, and waits until the broker has noted it.
    pub async fn ack_sync(&self) -> Result<(), Error> {
        self.message.double_ack().await.map_err(Error::unavailable)
    }

    /// Wants it again, not before `delay`.
    pub async fn nak(&self, delay: Duration) -> Result<(), Error> {
        self.answer(AckKind::Nak(Some(delay))).await
    }

    /// Says that work on it goes on.
    pub async fn in_progress(&self) -> Result<(), Error> {
        self.answer(AckKind::Progress).await
    }

    /// Says that it is never to be delivered again.
    pub async fn terminate(&self) -> Result<(), Error> {
        self.answer(AckKind::Term).await
    }

    async fn answer(&self, kind: AckKind) -> Result<(), Error> {
        self.message
            .ack_with(kind)
            .await
            .map_err(Error::unavailable)
    }
}

/// A delivered message that cannot be read, with the reason.
pub struct Unreadable {
    /// The message, to be set aside.
    pub delivery: Delivery,
    /// What is wrong with it.
    pub error: Error,
}

impl Unreadable {
    pub(crate) fn boxed(delivery: Delivery, error: Error) -> Box<Self> {
        Box::new(Self { delivery, error })
    }
}
