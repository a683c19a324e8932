//! Makes the traces of some ends of requests, and posts them until the collector has taken them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use nats::{Delivery, Error};
use runtime::Shutdown;

use crate::collector::{Collector, Posted};
use crate::folder::{Folded, Folder};
use crate::otlp::{self, Encoded, Service};

/// How many requests are read at once.
const FOLDS_AT_ONCE: usize = 8;
/// The pause before a post is tried again for the first time.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// How often a collector that takes nothing is told of.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Posts traces.
pub struct Exporter {
    pub folder: Folder,
    pub service: Service,
    pub collector: Collector,
    pub batch_max_bytes: usize,
    pub retry_longest: Duration,
    pub shutdown: Shutdown,
}

/// A trace with the event that ended its request.
struct Pending {
    event: Arc<Delivery>,
    trace: Encoded,
}

/// Whether a post arrived.
enum Arrived {
    Yes,
    /// The collector refuses it, for this reason.
    Refused(String),
    /// This process ends before that.
    NotYet,
}

impl Exporter {
    /// Sends the traces of these ends, and answers each end once the collector has its trace.
    pub async fn export(&self, events: Vec<Arc<Delivery>>) {
        let folding = futures::stream::iter(events).map(|event| self.pending(event));
        let mut pending = Box::pin(folding.buffered(FOLDS_AT_ONCE));
        let mut batch: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = pending.next().await {
            let Some(next) = next else { continue };
            let size = next.trace.size();
            if !batch.is_empty() && bytes + size > self.batch_max_bytes {
                self.send(std::mem::take(&mut batch)).await;
                bytes = 0;
            }
            bytes += size;
            batch.push(next);
        }
        if !batch.is_empty() {
            self.send(batch).await;
        }
    }

    /// The trace of an end. An end without one is answered.
    async fn pending(&self, event: Arc<Delivery>) -> Option<Pending> {
        let answered = match self.folder.fold(&event).await {
            Folded::Trace(trace) => {
                let trace = self.service.encode(&trace);
                return Some(Pending { event, trace });
            }
            Folded::Nothing => event.ack().await,
            Folded::Again(pause) => event.nak(pause).await,
        };
        note(answered);
        None
    }

    /// Posts some traces together. If the collector refuses them, each is posted alone, so that one
    /// that it does not want keeps back no other.
    async fn send(&self, batch: Vec<Pending>) {
        let body = otlp::body(batch.iter().map(|one| &one.trace));
        let arrived = self.arrive(body).await;
        match (&arrived, &batch[..]) {
            (Arrived::Refused(reason), [only]) => {
                let request = only.event.request().map(|request| request.to_string());
                tracing::warn!(
                    request,
                    reason,
                    "the collector refuses a trace, which is left out"
                );
            }
            (Arrived::Refused(_), _) => {
                for one in batch {
                    Box::pin(self.send(vec![one])).await;
                }
                return;
            }
            _ => {}
        }
        self.answer(&batch, &arrived).await;
    }

    /// Answers the ends whose traces arrived, and gives the others back.
    async fn answer(&self, batch: &[Pending], arrived: &Arrived) {
        for Pending { event, .. } in batch {
            note(match arrived {
                Arrived::Yes | Arrived::Refused(_) => event.ack().await,
                Arrived::NotYet => event.nak(Duration::ZERO).await,
            });
        }
    }

    /// Posts a body until the collector has taken it, or this process is asked to end.
    async fn arrive(&self, body: Bytes) -> Arrived {
        let mut pause = RETRY_FIRST;
        let mut told: Option<Instant> = None;
        loop {
            let posting = self.collector.post(body.clone());
            let (reason, after) = match self.shutdown.unless_hard(posting).await {
                None => return Arrived::NotYet,
                Some(Posted::Refused(reason)) => return Arrived::Refused(reason),
                Some(Posted::Later(reason, after)) => (reason, after),
                Some(taken) => {
                    if let Posted::InPart(spans, reason) = taken {
                        tracing::warn!(spans, reason, "the collector left out some spans");
                    }
                    if told.is_some() {
                        tracing::info!("the collector takes traces again");
                    }
                    return Arrived::Yes;
                }
            };
            if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                tracing::warn!(
                    reason,
                    "the collector takes no traces; they wait in the feed"
                );
                told = Some(Instant::now());
            }
            let wait = after.unwrap_or(pause).min(self.retry_longest);
            if !self.shutdown.pause(wait).await {
                return Arrived::NotYet;
            }
            pause = (pause * 2).min(self.retry_longest);
        }
    }
}

fn note(answered: Result<(), Error>) {
    if let Err(error) = answered {
        tracing::debug!(%error, "an end could not be answered for; it comes again");
    }
}
