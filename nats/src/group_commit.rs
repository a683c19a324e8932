//! Group commit: messages that callers publish to a stream while a batch is on its way go into the
//! next batch. On disk, an atomic batch costs one sync whatever its size, but some milliseconds of
//! the broker's time. A lone message is a plain publish.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::costs::Costs;
use crate::error::{Error, Refusal};
use crate::flight::{Flight, Flights};
use crate::stored::Stored;
use crate::{Connection, batch, size};

/// The most messages of one batch; the broker's own limit is 1,000.
const FLIGHT_MAX: usize = 400;
/// The most bytes of one atomic batch. The messages of a larger batch go one by one.
const BATCH_MAX_BYTES: usize = 2 * 1024 * 1024;
/// The fewest messages from which a fast batch saves more acks than it adds.
const FAST_FROM: usize = 4;
/// How long others wait for a batch to end before they begin one of their own.
const FLIGHT_PATIENCE: Duration = Duration::from_millis(250);

/// A message for a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub subject: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Outgoing {
    /// Sends the message. The caller awaits its ack.
    pub async fn send(self, connection: &Connection) -> Result<PublishAckFuture, PublishError> {
        let publish = PublishMessage::build()
            .headers(self.headers)
            .payload(self.body);
        let jetstream = &connection.jetstream;
        jetstream.send_publish(self.subject, publish).await
    }
}

/// The position of a stored message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The sequence in the log. A queue does not always report one.
    pub sequence: u64,
    pub stored: Stored,
}

type Answer = Result<Place, Refusal>;

/// A message that waits to be published, with the callers that wait for its answer.
pub(crate) struct Waiting {
    pub message: Outgoing,
    tell: oneshot::Sender<Answer>,
    /// The callers whose messages were joined to this one.
    others: Vec<oneshot::Sender<Answer>>,
}

impl Waiting {
    /// Takes over the callers of another message that is now part of this one.
    pub fn join(&mut self, other: Self) {
        self.others.push(other.tell);
        self.others.extend(other.others);
    }

    fn is_awaited(&self) -> bool {
        !self.tell.is_closed()
    }

    fn tell(self, answer: Answer) {
        // A caller that no longer waits needs no answer.
        for other in self.others {
            let _ = other.send(answer.clone());
        }
        let _ = self.tell.send(answer);
    }
}

/// Joins the waiting messages into fewer ones.
pub(crate) type Join = fn(Vec<Waiting>) -> Vec<Waiting>;

/// The publishes to one stream.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    shared: Arc<Shared>,
    /// The batches whose callers went away.
    flights: Flights,
    join: Option<Join>,
}

struct Shared {
    connection: Connection,
    queue: Mutex<Vec<Waiting>>,
    batches: Batches,
    /// Held by the caller that publishes a batch.
    flight: Arc<tokio::sync::Mutex<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a batch of several messages is published.
enum Batches {
    /// As an atomic batch, where these costs say that it is cheaper.
    Atomic(Mutex<Costs>),
    Fast(batch::Fast),
}

impl GroupCommit {
    /// Publishes to a shard of the log, and tells each caller its sequence.
    pub fn to_log(connection: Connection) -> Self {
        Self::new(connection, Batches::Atomic(Mutex::default()))
    }

    /// Publishes to a queue. A queue is in memory, so there is no sync to save.
    pub fn to_queue(connection: Connection) -> Self {
        Self::new(connection, Batches::Fast(batch::Fast::default()))
    }

    /// Like `to_queue`, but joins messages before it publishes them.
    pub fn joining(connection: Connection, join: Join) -> Self {
        Self {
            join: Some(join),
            ..Self::to_queue(connection)
        }
    }

    fn new(connection: Connection, batches: Batches) -> Self {
        let shared = Shared {
            connection,
            queue: Mutex::default(),
            batches,
            flight: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            flights: Flights::default(),
            join: None,
        }
    }

    /// Publishes a message and waits for the broker's answer. One of the waiting callers publishes
    /// the messages of all who wait by then. If that caller goes away, a task takes over its batch,
    /// so that nobody else notices.
    pub async fn publish(&self, message: Outgoing) -> Answer {
        // On its own, a message that is too large is refused alone. In a batch it would fail the
        // others.
        if let Some(bytes) = size::beyond(&message.headers, &message.body) {
            let limit = size::BODY_MAX_BYTES;
            return Err(Refusal::TooLarge { bytes, limit });
        }
        let (tell, mut told) = oneshot::channel();
        lock(&self.shared.queue).push(Waiting {
            message,
            tell,
            others: Vec::new(),
        });
        // Other callers that are about to publish get into the same batch.
        tokio::task::yield_now().await;
        let gone = |_| {
            Err(Refusal::Unanswered(
                "this process ended before the broker answered".into(),
            ))
        };
        loop {
            tokio::select! {
                biased;
                answer = &mut told => return answer.unwrap_or_else(gone),
                flying = self.shared.flight.clone().lock_owned() => {
                    let flight = self.board();
                    if flight.is_empty() {
                        // The message is on its way in the batch of another caller.
                        drop(flying);
                        return told.await.unwrap_or_else(gone);
                    }
                    let flight = fly_while_others_wait(self.shared.clone(), flight, flying);
                    Flight::new(flight, &self.flights).await;
                }
            }
        }
    }

    /// Waits for the batches whose callers went away.
    pub async fn landed(&self) {
        self.flights.landed().await;
    }

    /// The messages of the next batch. A message whose caller went away while it waited here is
    /// never sent, because nobody could learn that it is stored.
    fn board(&self) -> Vec<Waiting> {
        let mut queue = lock(&self.shared.queue);
        queue.retain(Waiting::is_awaited);
        let boarding = queue.len().min(FLIGHT_MAX);
        let flight = queue.drain(..boarding).collect();
        drop(queue);
        match self.join {
            Some(join) => join(flight),
            None => flight,
        }
    }
}

/// Publishes a batch, and lets the next one begin if the broker does not answer soon. A lost
/// connection thus holds up no other caller.
async fn fly_while_others_wait(
    shared: Arc<Shared>,
    flight: Vec<Waiting>,
    flying: OwnedMutexGuard<()>,
) {
    let mut flight = pin!(shared.fly(flight));
    if tokio::time::timeout(FLIGHT_PATIENCE, &mut flight)
        .await
        .is_err()
    {
        drop(flying);
        flight.await;
    }
}

impl Shared {
    async fn fly(&self, flight: Vec<Waiting>) {
        let (messages, begun) = (flight.len(), Instant::now());
        match &self.batches {
            Batches::Atomic(costs) => self.fly_to_log(flight, costs).await,
            Batches::Fast(fast) => self.fly_to_queue(flight, fast).await,
        }
        self.counted().landed(messages, begun.elapsed());
    }

    /// The instruments of these batches.
    fn counted(&self) -> &metrics::Flights {
        let broker = &self.connection.metrics.broker;
        match &self.batches {
            Batches::Atomic(_) => &broker.to_log,
            Batches::Fast(_) => &broker.to_queues,
        }
    }

    async fn fly_to_log(&self, mut flight: Vec<Waiting>, costs: &Mutex<Costs>) {
        if !self.connection.is_connected() {
            return refuse(flight, &Refusal::NotSent);
        }
        let messages = flight.len();
        let pays = messages > 1 && lock(costs).batch_pays(messages);
        let begun = Instant::now();
        if pays && bytes(&flight) <= BATCH_MAX_BYTES {
            match batch::atomic(&self.connection, copies(&flight)).await {
                Ok(last) => {
                    lock(costs).note_batch(messages, begun.elapsed());
                    self.counted().batched.inc_by(messages as u64);
                    let first = last + 1 - messages as u64;
                    for (sequence, waiting) in (first..).zip(flight) {
                        let stored = Stored::Now;
                        waiting.tell(Ok(Place { sequence, stored }));
                    }
                    return;
                }
                // Each message is now published on its own, and gets its own answer.
                Err(error) => {
                    tracing::debug!(%error, messages, "the broker refused a batch");
                    if !self.connection.is_connected() {
                        return refuse(flight, &Refusal::Unanswered(error.to_string()));
                    }
                    flight = self.refuse_denied(flight);
                    if flight.is_empty() {
                        return;
                    }
                }
            }
        }
        let begun = Instant::now();
        if self.one_by_one(flight).await {
            lock(costs).note_singles(messages, begun.elapsed());
        }
    }

    async fn fly_to_queue(&self, mut flight: Vec<Waiting>, fast: &batch::Fast) {
        if flight.len() >= FAST_FROM {
            match fast.publish(&self.connection, copies(&flight)).await {
                Some(Ok(stored)) => {
                    self.counted().batched.inc_by(stored as u64);
                    // A stored message is not published again, because its task may have run by
                    // then.
                    let rest = flight.split_off(stored.min(flight.len()));
                    for waiting in std::mem::replace(&mut flight, rest) {
                        let (sequence, stored) = (0, Stored::Now);
                        waiting.tell(Ok(Place { sequence, stored }));
                    }
                }
                Some(Err(error)) => {
                    let flight = self.refuse_denied(flight);
                    return refuse(flight, &Refusal::Unanswered(error.to_string()));
                }
                None => {}
            }
        }
        // Each refused message gets its own answer, for instance where its task is there already.
        self.one_by_one(flight).await;
    }

    /// Refuses the messages of a failed batch that the broker has denied, and returns the others.
    fn refuse_denied(&self, flight: Vec<Waiting>) -> Vec<Waiting> {
        let mut others = Vec::with_capacity(flight.len());
        for waiting in flight {
            match self
                .connection
                .denied
                .publishing_to(&waiting.message.subject)
            {
                Some(said) => waiting.tell(Err(Refusal::Denied(said))),
                None => others.push(waiting),
            }
        }
        others
    }

    /// Publishes the messages one by one, and returns whether all were stored. A refusal may come
    /// faster than an ack, so it says nothing about the cost.
    async fn one_by_one(&self, flight: Vec<Waiting>) -> bool {
        self.counted().single.inc_by(flight.len() as u64);
        let mut sent = Vec::with_capacity(flight.len());
        for mut waiting in flight {
            let message = std::mem::take(&mut waiting.message);
            let subject = message.subject.clone();
            sent.push((subject, message.send(&self.connection).await, waiting));
        }
        // The answers are awaited together: each has its own timeout, and those of a lost broker
        // end at the same time.
        let answers = sent
            .into_iter()
            .map(|(subject, sending, waiting)| async move {
                let answer = match sending {
                    Ok(ack) => ack.await,
                    Err(error) => Err(error),
                };
                let stored = answer.is_ok();
                let refusal = |error| self.connection.refusal(&subject, &error);
                waiting.tell(answer.map(|ack| place(&ack)).map_err(refusal));
                stored
            });
        let answers = futures::future::join_all(answers).await;
        answers.into_iter().all(|stored| stored)
    }
}

fn refuse(flight: Vec<Waiting>, refusal: &Refusal) {
    for waiting in flight {
        waiting.tell(Err(refusal.clone()));
    }
}

fn bytes(flight: &[Waiting]) -> usize {
    flight
        .iter()
        .map(|waiting| waiting.message.body.len())
        .sum()
}

fn copies(flight: &[Waiting]) -> impl ExactSizeIterator<Item = Result<Outgoing, Error>> {
    flight.iter().map(|waiting| Ok(waiting.message.clone()))
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
