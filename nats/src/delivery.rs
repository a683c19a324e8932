//! Delivered messages, and their answers.

use std::time::Duration;

use async_nats::header::{IntoHeaderName, NATS_PIN_ID};
use async_nats::jetstream::{AckKind, Message};
use domain::access::Tenant;
use domain::request::{AttemptNumber, RequestId, Run, Sequence, TaskId, TraceParent};
use jiff::Timestamp;

use crate::denied::Denied;
use crate::{Commit, Does, Error, Outline, commit, feed, subject, tasks, tenant, trace};

/// One delivered message.
pub struct Delivery {
    message: Message,
    denied: Denied,
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
    pub(crate) fn new(message: Message, denied: &Denied) -> Self {
        let denied = denied.clone();
        Self { message, denied }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// The request of the message. Subjects of the log and of reports name it, and events of the
    /// feed name it in a header.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        let named = subject::request(self.subject(), 2);
        named.or_else(|| self.header(feed::CE_SUBJECT)?.parse().ok())
    }

    /// The tenant of the request.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        tenant::of(self.message.headers.as_ref())
    }

    /// What the headers of a delivery from the log say of its request.
    #[must_use]
    pub fn outline(&self) -> Option<Outline> {
        let place = self.place().ok()?;
        let (does, group) = Does::of(self.message.headers.as_ref());
        Some(Outline {
            request: self.request()?,
            sequence: Sequence::new(place.sequence),
            does,
            at: place.stored_at,
            group,
        })
    }

    /// The id by which the broker names the instance that it delivers to.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        let headers = self.message.headers.as_ref()?;
        let pin = headers.get_last(NATS_PIN_ID)?;
        Some(pin.as_str())
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
        let acked = self.message.double_ack().await;
        acked.map_err(|error| self.unanswered(error))
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
        heard.map(|_| ()).map_err(|error| self.unanswered(error))
    }

    /// The error of an answer that the broker did not confirm.
    fn unanswered(&self, error: impl std::fmt::Display) -> Error {
        let subject = self.message.reply.as_deref().unwrap_or_default();
        self.denied.error(subject, error)
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
