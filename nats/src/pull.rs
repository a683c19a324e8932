//! Pulling exactly as many tasks as there is room for, so that no lease runs on a task that only
//! waits in a buffer.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{Message, StatusCode};
use tokio::time::Instant;

use crate::declare::declare_consumer;
use crate::inbox::Inbox;
use crate::topology::{TASKS, task_consumer, task_consumer_name};
use crate::{Connection, Creates, Delivery, Error, TaskMessage, Unreadable};

/// How long one pull waits at the broker.
const PULL_EXPIRY: Duration = Duration::from_secs(20);
/// The interval of the broker's heartbeats within a pull.
const PULL_HEARTBEAT: Duration = Duration::from_secs(1);
/// After this long without a sign of life, the worker checks whether the client has reconnected.
const SILENT_AFTER: Duration = Duration::from_millis(2_500);
/// After this long without a sign of life, every pull has ended, even on the same connection.
const ENDED_AFTER: Duration = PULL_EXPIRY.saturating_add(SILENT_AFTER);
/// The pause before the worker requests tasks again from a missing consumer.
const ABSENT_PAUSE: Duration = Duration::from_millis(100);
/// How long a consumer may be missing before the worker creates it again. A queue that was lost
/// comes back with its consumers before that.
const ABSENT_MAX: Duration = Duration::from_secs(2);
/// What a message has besides its payload: subjects. A pull brings at most as many bytes as the
/// largest message has, and the next pull follows at once. A broker that buffers little for a client
/// would otherwise close the connection.
const BESIDES_PAYLOAD: usize = 4 * 1024;

/// The limits of a worker's pulls.
#[derive(Clone, Copy, Debug)]
pub struct PullOptions {
    /// The most tasks held at once.
    pub concurrency: usize,
    /// How long a worker keeps a task without a sign of life.
    pub lease: Duration,
}

/// A message from the queue: a task, or one that cannot be read.
pub type Pulled = Result<TaskMessage, Box<Unreadable>>;

/// The tasks of one type, as one worker gets them.
pub struct Pull {
    connection: Connection,
    consumer: PullConsumer,
    task_type: String,
    lease: Duration,
    inbox: Inbox,
    concurrency: usize,
    /// Tasks handed out and not yet released.
    held: usize,
    /// Tasks requested and not yet delivered.
    asked: usize,
    /// When to request tasks again from a consumer that was missing, such as that of a queue that
    /// is being recreated.
    absent_until: Option<Instant>,
    /// Since when the consumer has been missing.
    absent_since: Option<Instant>,
    /// The last sign of life before a silence, and until when messages that waited out the silence
    /// may arrive. The broker may have sent them right after that sign of life.
    late: Option<(Instant, Instant)>,
    /// When the broker last showed a sign of life, or got a request while no other was open.
    heard: Instant,
    /// When to check next whether to request more tasks. It is a field because [`Self::next`] may
    /// be dropped at any await.
    look_at: Instant,
    /// The client's count of connects at the last request for tasks.
    connects: u64,
}

impl Pull {
    /// Opens the tasks of a type.
    pub async fn open(
        connection: &Connection,
        task_type: &str,
        options: PullOptions,
    ) -> Result<Self, Error> {
        let consumer = connection
            .consumer(TASKS, &task_consumer_name(task_type))
            .await
            .map_err(Error::unavailable)?;
        Ok(Self {
            connection: connection.clone(),
            consumer,
            task_type: task_type.to_owned(),
            lease: options.lease,
            inbox: Inbox::open(connection).await?,
            concurrency: options.concurrency.max(1),
            held: 0,
            asked: 0,
            absent_until: None,
            absent_since: None,
            late: None,
            heard: Instant::now(),
            look_at: Instant::now() + SILENT_AFTER,
            connects: 0,
        })
    }

    /// Sets the most tasks held at once.
    pub fn hold_at_most(&mut self, concurrency: usize) {
        self.concurrency = concurrency.max(1);
    }

    /// Releases this many finished tasks, so that there is room for others.
    pub fn release(&mut self, tasks: usize) {
        self.held = self.held.saturating_sub(tasks);
    }

    /// Requests as many tasks as there is room for, unless they are few compared with those already
    /// requested. Without a connection it requests none. The client would keep the requests, and
    /// the broker would get all of them at once later. Without a permission that the worker needs it
    /// requests none either, because it would do the work in vain.
    pub async fn ask(&mut self) -> Result<(), Error> {
        if !self.connection.is_connected() || self.connection.is_held_back() {
            return Ok(());
        }
        let connects = self.connection.connects();
        if connects != self.connects {
            // A broker that was restarted does not know the earlier requests. One that was not
            // restarted may still serve them, until they expire.
            self.connects = connects;
            self.asked = 0;
        }
        let room = self.concurrency.saturating_sub(self.held + self.asked);
        self.absent_until = self.absent_until.filter(|until| Instant::now() < *until);
        let absent = self.absent_until.is_some();
        if room == 0 || absent || (self.asked > 0 && room < self.concurrency / 4) {
            return Ok(());
        }
        let batch = BatchConfig {
            batch: room,
            expires: Some(PULL_EXPIRY),
            idle_heartbeat: PULL_HEARTBEAT,
            max_bytes: self.connection.max_payload() + BESIDES_PAYLOAD,
            ..BatchConfig::default()
        };
        self.consumer
            .request_batch(batch, self.inbox.subject())
            .await
            .map_err(Error::unavailable)?;
        if self.asked == 0 {
            self.heard = Instant::now();
        }
        self.asked += room;
        Ok(())
    }

    /// Waits for the next task. An error says that a message cannot be read. `None` says that the
    /// connection is closed. The future is safe to drop.
    pub async fn next(&mut self) -> Option<Pulled> {
        loop {
            let waiting = tokio::time::timeout_at(self.look_at, self.inbox.next());
            let Ok(answer) = waiting.await else {
                self.look_at = Instant::now() + SILENT_AFTER;
                if self.heard.elapsed() > ENDED_AFTER {
                    self.asked = 0;
                }
                Box::pin(self.restore_consumer()).await;
                self.ask_for_more().await;
                continue;
            };
            let message = answer?;
            self.note_sign_of_life();
            if let Some(task) = self.take(message) {
                if self.connection.is_held_back() {
                    Box::pin(self.give_back(task)).await;
                    continue;
                }
                return Some(task);
            }
            if self.asked == 0 {
                self.ask_for_more().await;
            }
        }
    }

    /// Gives back a task that was on its way when this worker lost a permission.
    async fn give_back(&mut self, task: Pulled) {
        self.release(1);
        match task {
            Ok(task) => self.connection.give_back(&task.delivery).await,
            Err(unreadable) => self.connection.give_back(&unreadable.delivery).await,
        }
    }

    fn note_sign_of_life(&mut self) {
        let now = Instant::now();
        if self.asked > 0 && now - self.heard > SILENT_AFTER {
            self.late = Some((self.heard, now + PULL_HEARTBEAT));
        }
        self.late = self.late.filter(|(_, until)| now < *until);
        self.heard = now;
        self.look_at = now + SILENT_AFTER;
    }

    /// Ends the pull: the broker gives this worker no task any more. Returns the tasks that were
    /// given to it and not handed out yet.
    pub async fn end(&mut self) -> Vec<Pulled> {
        let rest = self.inbox.end(self.asked).await;
        let tasks = rest.into_iter().filter_map(|message| self.take(message));
        tasks.collect()
    }

    /// Creates a consumer that was deleted, for instance by hand. A queue that is missing too is
    /// left to the orchestrator, which creates it together with its consumers. So is the consumer
    /// where this process creates nothing.
    async fn restore_consumer(&mut self) {
        let absent = self
            .absent_since
            .filter(|since| since.elapsed() > ABSENT_MAX);
        let creates = self.connection.creates == Creates::All;
        if absent.is_none() || !creates || !self.connection.is_connected() {
            return;
        }
        self.absent_since = Some(Instant::now());
        let config = task_consumer(&self.task_type, self.lease);
        match declare_consumer(&self.connection, TASKS, config).await {
            Ok(()) => {
                tracing::warn!(
                    consumer = task_consumer_name(&self.task_type),
                    "created a consumer of the task queue that was missing"
                );
            }
            Err(error) => tracing::warn!(%error, "the worker gets no tasks"),
        }
    }

    async fn ask_for_more(&mut self) {
        if self.ask().await.is_err() {
            tracing::debug!("the worker could not request tasks from the broker");
        }
    }

    fn take(&mut self, message: Message) -> Option<Pulled> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.asked = self.asked.saturating_sub(1);
                self.held += 1;
                self.absent_since = None;
                let given_at = self.late.map_or_else(Instant::now, |(before, _)| before);
                let message = async_nats::jetstream::Message {
                    message,
                    context: self.connection.jetstream.clone(),
                };
                Some(TaskMessage::parse(
                    Delivery::new(message, &self.connection.denied),
                    given_at,
                ))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {
                self.absent_since = None;
                None
            }
            Some(status) => {
                self.end_of_pull(status, &message);
                None
            }
        }
    }

    /// Notes the end of a pull that brought less than it requested.
    fn end_of_pull(&mut self, status: StatusCode, message: &Message) {
        let missing = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages"))
            .and_then(|value| value.as_str().parse::<usize>().ok());
        tracing::trace!(%status, ?missing, "a pull ended");
        self.asked = missing.map_or(0, |missing| self.asked.saturating_sub(missing));
        if status == StatusCode::NO_RESPONDERS {
            self.look_at = Instant::now() + ABSENT_PAUSE;
            self.absent_until = Some(self.look_at);
            self.absent_since.get_or_insert_with(Instant::now);
        }
    }
}
