//! The messages that a pinned consumer delivers to the one instance that holds it.

use std::time::Duration;

use async_nats::header::IntoHeaderName;
use async_nats::jetstream::consumer::pull::{MessagesError, MessagesErrorKind};
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use domain::request::{AttemptNumber, RequestId, Run, Sequence, TaskId, TraceParent};
use futures::{StreamExt, stream::ReadyChunks};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::topology::{PINNED, REPORTS, report_consumer_name};
use crate::{Commit, Connection, Error, LogReader, Topology, commit, subject, tasks, trace};

/// How long one pull waits at the broker; well below [`Topology::takeover_after`].
const PULL_EXPIRY: Duration = Duration::from_secs(2);
/// The interval of the broker's heartbeats within a pull.
const PULL_HEARTBEAT: Duration = Duration::from_millis(900);
/// How many messages one pull requests.
const PULL_BATCH: usize = 1_000;
/// The pause before the reader looks again for a missing consumer.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// The messages of a consumer, in chunks. A chunk has all messages that have arrived, up to some
/// hundreds.
pub struct Deliveries {
    connection: Connection,
    stream: String,
    consumer: String,
    chunks: ReadyChunks<pull::Stream>,
    /// When to look again for a missing consumer, such as that of a queue that is being recreated.
    reopen_at: Option<Instant>,
}

impl Deliveries {
    /// The most messages in a chunk.
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

    /// Waits for the next chunk, which has at least one message. `None` says that the connection is
    /// closed. Faults of the connection are logged and waited out, because the broker redelivers
    /// every message that was not acked.
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

    /// Continues with the consumer that replaced a missing one, once it exists.
    async fn reopen(&mut self) {
        match pull(&self.connection, &self.stream, &self.consumer).await {
            Ok(chunks) => {
                self.chunks = chunks;
                self.reopen_at = None;
            }
            Err(error) => {
                tracing::debug!(%error, "a lost consumer is not back yet");
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

/// The position of a delivered message.
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

    /// The request that the subject names. Subjects of the log and of reports name one.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        subject::request(self.subject(), 2)
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.message.payload
    }

    /// The value of one of its headers.
    #[must_use]
    pub fn header(&self, name: impl IntoHeaderName) -> Option<&str> {
        let headers = self.message.headers.as_ref()?;
        headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// The position of the message in a trace of the caller.
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        trace::of(self.message.headers.as_ref())
    }

    /// Decodes the commit in a delivery from the log.
    pub fn commit(&self) -> Result<Commit, Error> {
        let place = self.place()?;
        let (sequence, at) = (Sequence::new(place.sequence), place.stored_at);
        let empty = async_nats::HeaderMap::new();
        let headers = self.message.headers.as_ref().unwrap_or(&empty);
        commit::decode(self.subject(), sequence, at, headers, self.body())
    }

    /// The task, the run and the attempt of a delivery from the work queue, as far as they can be
    /// read.
    #[must_use]
    pub fn attempt(&self) -> Option<(TaskId, Run, AttemptNumber)> {
        let delivered = self.place().ok()?.delivered;
        let (before, run) = tasks::counts(self);
        let id = subject::task_id(self.subject())?;
        Some((id, run, before.plus(delivered)))
    }

    /// Its position in its stream.
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

    /// Whether the message was delivered before.
    #[must_use]
    pub fn comes_again(&self) -> bool {
        self.place().is_ok_and(|place| place.delivered > 1)
    }

    /// Tells the broker that the message is done.
    pub async fn ack(&self) -> Result<(), Error> {
        self.message.ack().await.map_err(Error::unavailable)
    }

    /// Tells the broker that the message is done, and waits until the broker has noted it.
    pub async fn ack_sync(&self) -> Result<(), Error> {
        self.message.double_ack().await.map_err(Error::unavailable)
    }

    /// Asks the broker to redeliver the message, not before `delay`.
    pub async fn nak(&self, delay: Duration) -> Result<(), Error> {
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        self.answer(AckKind::Nak(delay)).await
    }

    /// Tells the broker that work on the message continues, and waits until the broker has heard
    /// it. The broker answers whoever asks, so the answer says only that the lease of the message
    /// begins anew, and not whose lease it is. Without a connection nothing is sent: the client
    /// would send it later.
    pub async fn extend(&self) -> Result<(), Error> {
        let client = self.message.context.client();
        let reply = self.message.reply.clone();
        let Some(subject) = reply.filter(|_| self.is_connected()) else {
            return Err(Error::Unavailable("not connected".into()));
        };
        let heard = client.request(subject, AckKind::Progress.into()).await;
        heard.map(|_| ()).map_err(Error::unavailable)
    }

    /// Whether an answer goes out now, rather than into the client's reconnect buffer.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let client = self.message.context.client();
        client.connection_state() == async_nats::connection::State::Connected
    }

    /// Tells the broker that work on the message continues.
    pub async fn in_progress(&self) -> Result<(), Error> {
        self.answer(AckKind::Progress).await
    }

    /// Tells the broker never to deliver the message again.
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
    /// Why the message cannot be read.
    pub error: Error,
}

impl Unreadable {
    pub(crate) fn boxed(delivery: Delivery, error: Error) -> Box<Self> {
        Box::new(Self { delivery, error })
    }
}
