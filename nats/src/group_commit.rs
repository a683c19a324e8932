//! Group commit: what is published to a stream while the last flight is on its way goes with the
//! next one, as one atomic batch where that is cheaper. On disk a batch costs one sync
//! whatever its size, but some milliseconds of the broker's time; a lone message is a plain publish.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use tokio::sync::{MutexGuard, oneshot};

use crate::Connection;
use crate::error::{Refusal, refusal};
use crate::stored::Stored;

/// The most messages of one flight; the broker's own limit for a batch is 1,000.
const FLIGHT_MAX: usize = 400;
/// The most bytes of one batch; what is bigger goes by itself.
const BATCH_MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a batch is taken to cost before one was measured.
const BATCH_COST: Duration = Duration::from_micros(2_500);
/// What a plain publish among others is taken to cost before some were measured.
const PLAIN_COST: Duration = Duration::from_micros(50);
/// From how many plain publishes at once their cost is measured.
const MEASURED_FROM: usize = 8;
/// How long others wait for a flight to end before they begin one of their own.
const FLIGHT_PATIENCE: Duration = Duration::from_millis(250);
/// How much a new measurement counts that is higher than what is known. One that is lower is
/// believed at once: whatever else the machine does only makes it higher.
const WEIGHT: f64 = 0.01;

/// A message for a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub subject: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Where a message is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub sequence: u64,
    pub stored: Stored,
}

type Answer = Result<Place, Refusal>;

/// A message that waits to be published, and who is told of its answer.
pub(crate) struct Waiting {
    pub message: Outgoing,
    tell: oneshot::Sender<Answer>,
    /// Those whose messages were joined to it.
    others: Vec<oneshot::Sender<Answer>>,
}

impl Waiting {
    /// Takes over whoever waits for another message that is now part of this one.
    pub fn join(&mut self, other: Self) {
        self.others.push(other.tell);
        self.others.extend(other.others);
    }

    fn tell(self, answer: Answer) {
        // Who does not wait any more does not want to know.
        for other in self.others {
            let _ = other.send(answer.clone());
        }
        let _ = self.tell.send(answer);
    }
}

/// Makes fewer messages of those that wait.
pub(crate) type Join = fn(Vec<Waiting>) -> Vec<Waiting>;

/// The publishes to one stream.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    connection: Connection,
    shared: Arc<Shared>,
    join: Option<Join>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Vec<Waiting>>,
    costs: Mutex<Costs>,
    /// Held by whoever flies.
    flight: tokio::sync::Mutex<()>,
}

/// The least that was measured lately, in seconds.
struct Costs {
    batch: f64,
    plain: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            batch: BATCH_COST.as_secs_f64(),
            plain: PLAIN_COST.as_secs_f64(),
        }
    }
}

impl Costs {
    #[allow(clippy::cast_precision_loss)] // At most FLIGHT_MAX.
    fn batch_pays(&self, messages: usize) -> bool {
        self.plain * messages as f64 > self.batch
    }

    #[allow(clippy::cast_precision_loss)]
    fn note(&mut self, as_batch: bool, messages: usize, took: Duration) {
        let took = took.as_secs_f64();
        if as_batch {
            lower(&mut self.batch, took);
        } else if messages >= MEASURED_FROM {
            lower(&mut self.plain, took / messages as f64);
        }
    }
}

fn lower(known: &mut f64, measured: f64) {
    *known = measured.min(*known + WEIGHT * (measured - *known));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GroupCommit {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            shared: Arc::default(),
            join: None,
        }
    }

    /// One that joins messages before it publishes them.
    pub fn joining(connection: Connection, join: Join) -> Self {
        Self {
            join: Some(join),
            ..Self::new(connection)
        }
    }

    /// Publishes a message and waits for the broker's answer. One of those who wait flies for
    /// all who wait by then.
    pub async fn publish(&self, message: Outgoing) -> Answer {
        let (tell, mut told) = oneshot::channel();
        lock(&self.shared.queue).push(Waiting {
            message,
            tell,
            others: Vec::new(),
        });
        // Whoever else is about to publish is to be on the same flight.
        tokio::task::yield_now().await;
        loop {
            tokio::select! {
                biased;
                answer = &mut told => {
                    let gone = |_| Err(Refusal::Other("whoever published it was stopped".into()));
                    return answer.unwrap_or_else(gone);
                }
                flying = self.shared.flight.lock() => {
                    let flight = self.board();
                    if !flight.is_empty() {
                        self.fly_while_others_wait(flight, flying).await;
                    }
                }
            }
        }
    }

    fn board(&self) -> Vec<Waiting> {
        let mut queue = lock(&self.shared.queue);
        let boarding = queue.len().min(FLIGHT_MAX);
        let flight = queue.drain(..boarding).collect();
        drop(queue);
        match self.join {
            Some(join) => join(flight),
            None => flight,
        }
    }

    /// A broker that does not answer soon, as after a lost connection, holds nobody else up.
    async fn fly_while_others_wait(&self, flight: Vec<Waiting>, flying: MutexGuard<'_, ()>) {
        let flight = self.fly(flight);
        tokio::pin!(flight);
        if tokio::time::timeout(FLIGHT_PATIENCE, &mut flight)
            .await
            .is_err()
        {
            drop(flying);
            flight.await;
        }
    }

    async fn fly(&self, flight: Vec<Waiting>) {
        let messages = flight.len();
        let bytes: usize = flight
            .iter()
            .map(|waiting| waiting.message.body.len())
            .sum();
        let pays = lock(&self.shared.costs).batch_pays(messages);
        let as_batch = pays && messages > 1 && bytes <= BATCH_MAX_BYTES;
        let begun = Instant::now();
        if as_batch && let Some(last) = self.batch(&flight).await {
            lock(&self.shared.costs).note(true, messages, begun.elapsed());
            let first = last + 1 - messages as u64;
            for (sequence, waiting) in (first..).zip(flight) {
                let stored = Stored::Now;
                waiting.tell(Ok(Place { sequence, stored }));
            }
            return;
        }
        let begun = Instant::now();
        if self.one_by_one(flight).await {
            lock(&self.shared.costs).note(false, messages, begun.elapsed());
        }
    }

    /// Publishes all or none; gives the sequence of the last. None where the broker refused or
    /// did not answer: then each is to be published by itself, and told its own answer.
    async fn batch(&self, flight: &[Waiting]) -> Option<u64> {
        let id = self.connection.client.new_inbox();
        let (last, before) = flight.split_last()?;
        for (number, waiting) in (1_u64..).zip(before) {
            let message = in_batch(&waiting.message, &id, number);
            let Outgoing {
                subject,
                headers,
                body,
            } = message;
            let client = &self.connection.client;
            client
                .publish_with_headers(subject, headers, body)
                .await
                .ok()?;
        }
        let mut message = in_batch(&last.message, &id, flight.len() as u64);
        message.headers.insert(NATS_BATCH_COMMIT, "1");
        match self.send(message).await {
            Ok(ack) => Some(ack.sequence),
            Err(error) => {
                tracing::debug!(%error, messages = flight.len(), "a batch was refused");
                None
            }
        }
    }

    /// Whether all were stored: a refusal may come quicker than an ack, and says nothing of cost.
    async fn one_by_one(&self, flight: Vec<Waiting>) -> bool {
        let mut sent = Vec::with_capacity(flight.len());
        for mut waiting in flight {
            let Outgoing {
                subject,
                headers,
                body,
            } = std::mem::take(&mut waiting.message);
            let publish = PublishMessage::build().headers(headers).payload(body);
            let jetstream = &self.connection.jetstream;
            let sending = jetstream.send_publish(subject, publish).await;
            sent.push((sending, waiting));
        }
        // All at once: each has its own time limit, and those of a lost broker end together.
        let answers = sent.into_iter().map(|(sending, waiting)| async move {
            let answer = match sending {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            let stored = answer.is_ok();
            waiting.tell(answer.map(|ack| place(&ack)).map_err(|e| refusal(&e)));
            stored
        });
        let answers = futures::future::join_all(answers).await;
        answers.into_iter().all(|stored| stored)
    }

    async fn send(&self, message: Outgoing) -> Result<PublishAck, PublishError> {
        let publish = PublishMessage::build()
            .headers(message.headers)
            .payload(message.body);
        let jetstream = &self.connection.jetstream;
        jetstream
            .send_publish(message.subject, publish)
            .await?
            .await
    }
}

fn place(ack: &PublishAck) -> Place {
    Place {
        sequence: ack.sequence,
        stored: if ack.duplicate {
            Stored::Already
        } else {
            Stored::Now
        },
    }
}

fn in_batch(message: &Outgoing, id: &str, number: u64) -> Outgoing {
    let mut message = message.clone();
    message.headers.insert(NATS_BATCH_ID, id);
    message
        .headers
        .insert(NATS_BATCH_SEQUENCE, number.to_string());
    message
}
