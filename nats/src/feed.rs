//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use std::time::Instant;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderName};
use domain::feed::CloudEvent;
use domain::request::{Event, Recorded};
use futures::future::try_join_all;

use crate::costs::Costs;
use crate::dead_letters::Unsent;
use crate::error::Refusal;
use crate::group_commit::Outgoing;
use crate::tenant::{self, CE_TENANT};
use crate::{Connection, DeadLetters, Error, batch, size, subject, trace};

// The attributes of binary mode, named in the CloudEvents binding for NATS.
const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
pub(crate) const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
pub(crate) const CE_SEQUENCE: HeaderName = HeaderName::from_static("ce-sequence");
const CE_DATASCHEMA: HeaderName = HeaderName::from_static("ce-dataschema");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

/// The most messages of one atomic batch; the broker's own limit is 1,000.
const ATOMIC_MAX: usize = 1_000;

/// How many batches, at first, may repeat events that an earlier projector has published. The
/// broker skips events that it knows, so such a batch says nothing about the cost of storing.
const PERHAPS_KNOWN: u32 = 5;

/// Publishes the feed.
pub struct Feed {
    pub(crate) connection: Connection,
    fast: batch::Fast,
    costs: Costs,
    /// How many more batches are not measured.
    unmeasured: u32,
    /// Whether the last attempt failed. It may have left events behind that are stored or not.
    in_doubt: bool,
}

impl Feed {
    /// Publishes over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            fast: batch::Fast::default(),
            costs: Costs::default(),
            unmeasured: PERHAPS_KNOWN,
            in_doubt: false,
        }
    }

    /// Publishes these events in order, and waits until the broker has them all. After an error the
    /// broker may have some of them. It recognizes these by their ids when they come again.
    pub async fn publish(&mut self, events: &[Recorded<&Event>]) -> Result<(), Error> {
        let in_doubt = std::mem::replace(&mut self.in_doubt, true);
        for events in events.chunks(ATOMIC_MAX) {
            let stored = if in_doubt {
                0
            } else if self.costs.batch_pays(events.len()) {
                self.atomic(events).await?
            } else {
                self.fast(events).await?
            };
            self.singly(&events[stored.min(events.len())..]).await?;
        }
        self.in_doubt = false;
        Ok(())
    }

    /// Publishes these events as an atomic batch, and returns how many are stored now: all or none.
    /// The broker refuses the whole batch where one of its events is there already.
    async fn atomic(&mut self, events: &[Recorded<&Event>]) -> Result<usize, Error> {
        let begun = Instant::now();
        match batch::atomic(&self.connection, events.iter().map(message)).await {
            Ok(_) => self.costs.note_batch(events.len(), begun.elapsed()),
            Err(error) => {
                tracing::debug!(%error, events = events.len(), "the broker refused a batch of feed events");
                return self.denied(events).map_or(Ok(0), Err);
            }
        }
        Ok(events.len())
    }

    /// Publishes these events as a fast batch, and returns how many are stored now, counted from
    /// the first.
    async fn fast(&mut self, events: &[Recorded<&Event>]) -> Result<usize, Error> {
        let begun = Instant::now();
        let messages = events.iter().map(message);
        let published = self.fast.publish(&self.connection, messages);
        let stored = published.await.unwrap_or(Ok(0));
        let stored = stored.map_err(|error| self.denied(events).unwrap_or(error))?;
        if self.unmeasured > 0 {
            self.unmeasured -= 1;
        } else if stored == events.len() {
            self.costs.note_singles(stored, begun.elapsed());
        }
        Ok(stored)
    }

    /// The error of a failed batch, where the broker has denied its events.
    fn denied(&self, events: &[Recorded<&Event>]) -> Option<Error> {
        let first = message(events.first()?).ok()?;
        let said = self.connection.denied.publishing_to(&first.subject)?;
        Some(Error::Denied(said))
    }

    /// Publishes each event with an ack of its own. On replicas, a batch skips an event whose id is
    /// known, although the event is only proposed; here that is an error. An event that the broker
    /// will never take is set aside, and holds up no other event.
    async fn singly(&self, events: &[Recorded<&Event>]) -> Result<(), Error> {
        let mut acks = Vec::with_capacity(events.len());
        for event in events {
            let message = message(event)?;
            let subject = message.subject.clone();
            let sending = message.send(&self.connection).await;
            acks.push((event, subject, sending));
        }
        let acked = acks
            .into_iter()
            .map(|(event, subject, sending)| async move {
                let stored = match sending {
                    Ok(ack) => ack.await,
                    Err(error) => Err(error),
                };
                let Err(error) = stored else { return Ok(()) };
                match self.connection.refusal(&subject, &error) {
                    refused @ Refusal::TooLarge { .. } => {
                        Box::pin(self.set_aside(event, &refused)).await
                    }
                    refused => Err(Error::of_refusal(refused)),
                }
            });
        try_join_all(acked).await.map(|_| ())
    }

    async fn set_aside(&self, event: &Recorded<&Event>, refused: &Refusal) -> Result<(), Error> {
        let (request, sequence) = (event.request, event.sequence);
        tracing::error!(%request, sequence = sequence.get(), %refused, "the feed refused an event; the event becomes a dead letter");
        let Outgoing {
            subject,
            headers,
            body,
        } = message(event)?;
        let letter = Unsent {
            of: subject::log(request),
            sequence,
            subject,
            headers,
            body,
        };
        let letters = DeadLetters::new(self.connection.clone());
        letters.keep_unsent(letter, &refused.to_string()).await
    }
}

pub(crate) fn message(recorded: &Recorded<&Event>) -> Result<Outgoing, Error> {
    let event = CloudEvent::of(recorded);
    let mut headers = HeaderMap::new();
    headers.insert(CE_SPECVERSION, event.specversion);
    headers.insert(CE_TYPE, event.kind.as_str());
    headers.insert(CE_SOURCE, event.source);
    headers.insert(CE_SUBJECT, event.subject.to_string());
    headers.insert(CE_TIME, event.time.to_string());
    headers.insert(CE_SEQUENCE, event.sequence.as_str());
    headers.insert(CE_DATASCHEMA, event.dataschema.as_str());
    headers.insert(CONTENT_TYPE, event.datacontenttype);
    headers.insert(NATS_MESSAGE_ID, event.id.as_str());
    headers.insert(CE_ID, event.id.as_str());
    tenant::insert(&mut headers, CE_TENANT, &event.tenant);
    trace::insert(&mut headers, event.traceparent.as_ref());
    let mut body = serde_json::to_vec(&event.data).map_err(|e| Error::corrupt("a new event", e))?;
    if let Some(bytes) = size::beyond(&headers, &body) {
        // The size of an event is bounded, so this branch is only for an unforeseen case.
        tracing::error!(
            id = event.id,
            bytes,
            "an event is too large for the feed and is published without its data"
        );
        let request = event.subject;
        body = format!("{{\"requestId\":\"{request}\",\"truncated\":true}}").into_bytes();
    }
    Ok(Outgoing {
        subject: subject::lifecycle(&event.tenant, recorded.event.name(), event.subject),
        headers,
        body: body.into(),
    })
}
