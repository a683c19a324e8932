//! A lease: at most one process at a time holds it, as far as clocks go. It is one message, and each
//! renewal expects the sequence of the last one. Nobody compares clocks of two machines: a process
//! takes a lease over when it has seen no renewal for long enough by its own clock.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::Refusal;
use crate::topology::QUARANTINE;
use crate::{Connection, Error, subject};

/// How often a lease is renewed while it lasts.
const RENEWALS: u32 = 3;
/// The shortest time for which a lease lasts.
const LASTS_AT_LEAST: Duration = Duration::from_secs(1);

/// A lease that this process holds or wants. What it protects must bear two holders for a moment:
/// a process that stands still does not notice that its lease is over.
pub struct Lease {
    connection: Connection,
    subject: String,
    me: String,
    /// For how long the lease lasts without a renewal.
    lasts: Duration,
    /// The last message that this process has seen, and when it saw it first.
    seen: Option<(u64, Instant)>,
    held: bool,
}

impl Lease {
    /// A lease with this name, which nobody else may take over for `lasts`.
    #[must_use]
    pub fn new(connection: Connection, name: &str, lasts: Duration) -> Self {
        Self {
            connection,
            subject: subject::lease(name),
            me: Uuid::now_v7().to_string(),
            lasts: lasts.max(LASTS_AT_LEAST),
            seen: None,
            held: false,
        }
    }

    /// Takes or renews the lease where that is due. Returns whether this process holds it.
    pub async fn hold(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        if self.held
            && let Some((sequence, renewed)) = self.seen
        {
            if now.duration_since(renewed) < self.lasts / RENEWALS {
                return Ok(true);
            }
            return self.write(sequence, now).await;
        }
        let Some((sequence, holder)) = self.last().await? else {
            return self.write(0, now).await;
        };
        match self.seen {
            _ if holder.is_empty() => self.write(sequence, now).await,
            // The broker stored a renewal without an answer.
            _ if holder == self.me => {
                self.seen = Some((sequence, now));
                self.held = true;
                Ok(true)
            }
            Some((seen, since)) if seen == sequence => {
                if now.duration_since(since) < self.lasts {
                    return Ok(false);
                }
                tracing::info!(
                    subject = self.subject,
                    "a lease was not renewed and is taken over"
                );
                self.write(sequence, now).await
            }
            _ => {
                self.seen = Some((sequence, now));
                Ok(false)
            }
        }
    }

    /// Lets the lease go, so that another process need not wait for its end.
    pub async fn release(&mut self) {
        let Some((sequence, _)) = self.seen.filter(|_| self.held) else {
            return;
        };
        self.held = false;
        if let Err(refusal) = self.publish(sequence, Bytes::new()).await {
            tracing::debug!(%refusal, "a lease has to end by itself");
        }
    }

    async fn write(&mut self, after: u64, now: Instant) -> Result<bool, Error> {
        self.held = false;
        match self.publish(after, self.me.clone().into()).await {
            Ok(sequence) => {
                self.seen = Some((sequence, now));
                self.held = true;
                Ok(true)
            }
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => {
                self.seen = None;
                Ok(false)
            }
            Err(refusal) => Err(Error::of_refusal(refusal)),
        }
    }

    async fn publish(&self, after: u64, body: Bytes) -> Result<u64, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.to_string());
        let published = self
            .connection
            .publish(self.subject.clone(), headers, body)
            .await?;
        Ok(published.sequence)
    }

    /// The last message, with the holder that it names.
    async fn last(&self) -> Result<Option<(u64, String)>, Error> {
        let stream = self
            .connection
            .jetstream
            .get_stream_no_info(QUARANTINE)
            .await;
        let stream = stream.map_err(Error::unavailable)?;
        match stream.get_last_raw_message_by_subject(&self.subject).await {
            Ok(message) => {
                let holder = String::from_utf8_lossy(&message.payload).into_owned();
                Ok(Some((message.sequence, holder)))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => {
                let call = format_args!("STREAM.MSG.GET.{QUARANTINE}");
                Err(self.connection.failed(call, error))
            }
        }
    }
}
