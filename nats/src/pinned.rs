//! Pulling from a pinned consumer, and handing it over in order.

use std::time::Duration;

use async_nats::header::NATS_PIN_ID;
use async_nats::jetstream;
use async_nats::{HeaderMap, Message, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use crate::inbox::Inbox;
use crate::topology::{PINNED, REPORTS, report_consumer_name};
use crate::{Connection, Delivery, Error, LogReader, Topology};

/// The longest time that one pull waits at the broker.
const PULL_EXPIRY: Duration = Duration::from_secs(2);
/// How many pulls the broker gets at least within the time after which an instance is replaced. An
/// instance that only waits thus keeps its pin.
const PULLS_PER_TAKEOVER: u32 = 2;
/// How many messages one pull requests.
const PULL_BATCH: usize = 1_000;
/// The most bytes that one pull brings, so that few messages wait in this process even where each
/// of them is large.
const PULL_MAX_BYTES: usize = 16 * 1024 * 1024;
/// How the broker ends a pull with a limit in bytes that brought all its messages.
pub(crate) const BATCH_COMPLETED: &str = "Batch Completed";
/// How the broker ends a pull whose bytes do not suffice for the next message.
pub(crate) const MAX_BYTES: &str = "Message Size Exceeds MaxBytes";
/// How much longer than its expiry a pull may be silent before it counts as lost.
const SILENCE: Duration = Duration::from_secs(1);
/// How often the reader of a silent consumer looks whether to pull again, for example because the
/// client has reconnected.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause before the reader pulls again from a missing consumer, such as that of a queue that is
/// being recreated.
const ABSENT_PAUSE: Duration = Duration::from_millis(250);
/// How long handing back may take.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// The messages of a consumer, in chunks. A chunk has all messages that have arrived, up to some
/// hundreds.
pub struct Deliveries {
    connection: Connection,
    /// The stream and the consumer, as they are part of subjects.
    path: String,
    inbox: Inbox,
    expiry: Duration,
    /// The name that the broker has given to this instance, while the consumer is pinned to it.
    pin: Option<String>,
    /// Messages requested and not yet delivered.
    asked: usize,
    /// When the broker last showed a sign of life.
    heard: Instant,
    /// When to pull again from a consumer that was missing.
    absent_until: Option<Instant>,
    /// The client's count of connects at the last pull.
    connects: u64,
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
        let found = connection.consumer(stream, consumer).await?;
        Ok(Self {
            connection: connection.clone(),
            path: format!("{stream}.{consumer}"),
            inbox: Inbox::open(connection).await?,
            expiry: expiry(found.cached_info().config.priority_timeout),
            pin: None,
            asked: 0,
            heard: Instant::now(),
            absent_until: None,
            connects: 0,
        })
    }

    /// Waits for the next chunk, which has at least one message. `None` says that the connection is
    /// closed. Faults of the connection are waited out, because the broker redelivers every message
    /// that was not acked. The future is safe to drop.
    pub async fn next(&mut self) -> Option<Vec<Delivery>> {
        loop {
            self.ask().await;
            let look = self.absent_until.unwrap_or(Instant::now() + LOOK_EVERY);
            let Ok(first) = tokio::time::timeout_at(look, self.inbox.next()).await else {
                continue;
            };
            let mut deliveries = Vec::new();
            deliveries.extend(self.take(first?));
            self.take_arrived(&mut deliveries, Self::CHUNK);
            if self.connection.is_held_back() {
                for delivery in &deliveries {
                    self.connection.give_back(delivery).await;
                }
            } else if !deliveries.is_empty() {
                return Some(deliveries);
            }
        }
    }

    /// Whether the broker delivers to this instance, as far as it has said.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    /// Everything that has arrived, without a request for more. A caller that has no room for a
    /// chunk now can thus show signs of life for what the broker has sent already.
    pub fn arrived(&mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        self.take_arrived(&mut deliveries, usize::MAX);
        deliveries
    }

    fn take_arrived(&mut self, deliveries: &mut Vec<Delivery>, most: usize) {
        while deliveries.len() < most
            && let Some(message) = self.inbox.arrived()
        {
            deliveries.extend(self.take(message));
        }
    }

    /// Requests more messages where few are still to come. Without a connection it requests none,
    /// because the client would keep the requests. Without a permission that the role needs it
    /// requests none, because the work would fail.
    async fn ask(&mut self) {
        if !self.connection.is_connected() || self.connection.is_held_back() {
            return;
        }
        let connects = self.connection.connects();
        let silent = self.heard.elapsed() > self.expiry + SILENCE;
        if connects != self.connects || silent {
            self.connects = connects;
            self.asked = 0;
        }
        let now = Instant::now();
        self.absent_until = self.absent_until.filter(|until| now < *until);
        if self.asked > PULL_BATCH / 2 || self.absent_until.is_some() {
            return;
        }
        let mut pull = json!({
            "batch": PULL_BATCH,
            "max_bytes": PULL_MAX_BYTES,
            "expires": nanos(self.expiry),
            "idle_heartbeat": nanos(self.expiry * 9 / 20),
            "group": PINNED,
        });
        if let Some(pin) = &self.pin {
            pull["id"] = pin.as_str().into();
        }
        let subject = format!("{}.CONSUMER.MSG.NEXT.{}", self.connection.api, self.path);
        let (inbox, client) = (self.inbox.subject(), &self.connection.client);
        let body = pull.to_string().into();
        match client.publish_with_reply(subject, inbox, body).await {
            Ok(()) => {
                self.asked += PULL_BATCH;
                self.heard = now;
            }
            Err(error) => tracing::debug!(%error, "a consumer cannot be pulled from"),
        }
    }

    fn take(&mut self, message: Message) -> Option<Delivery> {
        self.heard = Instant::now();
        match message.status {
            None | Some(StatusCode::OK) => {
                self.asked = self.asked.saturating_sub(1);
                // A message may have been published with such a header. The broker's comes last.
                let pin = message.headers.as_ref();
                let pin = pin.and_then(|headers| headers.get_last(NATS_PIN_ID));
                if let Some(pin) = pin
                    && self.pin.as_deref() != Some(pin.as_str())
                {
                    self.pin = Some(pin.as_str().to_owned());
                }
                Some(self.delivery(message))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => None,
            Some(status) => {
                self.end_of_pull(status, &message);
                None
            }
        }
    }

    fn delivery(&self, message: Message) -> Delivery {
        let context = self.connection.jetstream.clone();
        Delivery::new(
            jetstream::Message { message, context },
            &self.connection.denied,
        )
    }

    /// Notes the end of a pull that brought less than it requested.
    fn end_of_pull(&mut self, status: StatusCode, message: &Message) {
        tracing::trace!(%status, "a pull ended");
        let missing = pending(message.headers.as_ref()).unwrap_or(self.asked);
        self.asked = self.asked.saturating_sub(missing);
        match End::of(status, message.description.as_deref()) {
            End::Usual => {}
            End::PinLost => self.pin = None,
            End::Absent => self.absent_until = Some(Instant::now() + ABSENT_PAUSE),
        }
    }

    /// Ends the pulls, and hands back everything that was not begun: these deliveries, and what has
    /// arrived since the last chunk. Then gives the consumer free for another instance, which would
    /// otherwise wait until this one counts as dead.
    pub async fn hand_back(mut self, not_begun: Vec<Delivery>) {
        let handing_back = self.hand_all_back(not_begun);
        if tokio::time::timeout(HAND_BACK_TIMEOUT, handing_back)
            .await
            .is_err()
        {
            tracing::debug!(consumer = self.path, "a consumer could not be handed over");
        }
    }

    async fn hand_all_back(&mut self, mut not_begun: Vec<Delivery>) {
        // Nothing is delivered after the end, so nothing that is handed back comes here again.
        for message in self.inbox.end(self.asked).await {
            not_begun.extend(self.take(message));
        }
        for delivery in &not_begun {
            if let Err(error) = delivery.nak(Duration::ZERO).await {
                tracing::debug!(%error, "a message could not be handed back; it comes again");
            }
        }
        if self.pin.take().is_some() {
            let subject = format!("{}.CONSUMER.UNPIN.{}", self.connection.api, self.path);
            let body = json!({ "group": PINNED }).to_string().into();
            let freed = self.connection.client.request(subject, body).await;
            let consumer = &self.path;
            match freed {
                Ok(_) => tracing::debug!(consumer, not_begun = not_begun.len(), "handed over"),
                Err(error) => tracing::debug!(consumer, %error, "the pin has to time out"),
            }
        }
    }
}

/// Why a pull ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It brought what it could. The next pull follows at once.
    Usual,
    /// Another instance has the pin.
    PinLost,
    /// The consumer is missing, or cannot serve pulls now.
    Absent,
}

impl End {
    fn of(status: StatusCode, description: Option<&str>) -> Self {
        match (status, description) {
            (StatusCode::TIMEOUT, _) | (_, Some(BATCH_COMPLETED | MAX_BYTES)) => Self::Usual,
            (StatusCode::PIN_ID_MISMATCH, _) => Self::PinLost,
            _ => Self::Absent,
        }
    }
}

/// How long one pull waits at the broker, where an instance is replaced after this silence.
fn expiry(takeover_after: Duration) -> Duration {
    if takeover_after.is_zero() {
        return PULL_EXPIRY;
    }
    PULL_EXPIRY.min(takeover_after / PULLS_PER_TAKEOVER)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How many messages of an ended pull do not come.
fn pending(headers: Option<&HeaderMap>) -> Option<usize> {
    let pending = headers?.get("Nats-Pending-Messages")?;
    pending.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_ends_early_enough_that_an_idle_instance_keeps_its_pin() {
        let of_settings = |millis| expiry(Duration::from_millis(millis));
        assert_eq!(of_settings(5_000), PULL_EXPIRY);
        assert_eq!(of_settings(1_000), Duration::from_millis(500));
        assert_eq!(expiry(Duration::ZERO), PULL_EXPIRY);
    }
    #[test]
    fn a_pull_that_brought_all_it_could_is_followed_by_the_next_without_a_pause() {
        let conflict = StatusCode::from_u16(409).unwrap();
        for usual in [BATCH_COMPLETED, MAX_BYTES] {
            assert_eq!(End::of(conflict, Some(usual)), End::Usual);
        }
        assert_eq!(End::of(StatusCode::TIMEOUT, None), End::Usual);
        assert_eq!(End::of(StatusCode::PIN_ID_MISMATCH, None), End::PinLost);
        assert_eq!(End::of(conflict, Some("Consumer Deleted")), End::Absent);
        assert_eq!(End::of(StatusCode::NO_RESPONDERS, None), End::Absent);
    }
}
