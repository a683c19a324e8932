//! Reads the state of the broker without changing anything, for the tools that explain.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::stream::DirectGetErrorKind;
use domain::request::{Payload, RequestId, Sequence, TaskId};
use futures::TryStreamExt;
use jiff::Timestamp;

use crate::dead_letters::{DISCARDED, Filter, Letter, PUT_BACK, id_of};
use crate::declare::is_missing;
use crate::error::is_missing_stream;
use crate::topology::{
    DEAD_LETTERS, OPERATIONS, REPORTS, TASKS, Topology, report_consumer_name, task_consumer_name,
};
use crate::{Connection, DeadLetter, DeadLetters, Error, LogReader, subject};

/// The most waiting tasks of one request that are examined one by one.
pub const TASKS_LOOKED_AT: usize = 1_000;

/// The most dead letters of one request that are examined.
pub const LETTERS_LOOKED_AT: usize = 10_000;

/// The range of commits that a shard of the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The sequence of the first commit that is still there.
    pub first: Sequence,
    /// The sequence of the last commit.
    pub last: Sequence,
    /// The number of commits.
    pub commits: u64,
    /// When the first was stored.
    pub first_at: Timestamp,
    /// When the last was stored.
    pub last_at: Timestamp,
    /// How long a commit is kept; zero means forever.
    pub kept_for: Duration,
}

/// The position of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its name.
    pub consumer: String,
    /// The sequence up to which everything is acked.
    pub acked: u64,
    /// The sequence up to which everything was delivered at least once.
    pub delivered: u64,
    /// The messages that are not yet delivered.
    pub pending: u64,
    /// The messages that are delivered and not yet acked.
    pub unacked: u64,
    /// The messages that are delivered more than once and not yet acked.
    pub redelivered: u64,
    /// The pulls that wait at the broker. Zero means that no reader asks.
    pub waiting_pulls: u64,
}

/// A task in the work queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The task.
    pub task: TaskId,
    /// Its type.
    pub task_type: String,
    /// Its sequence in the queue.
    pub sequence: u64,
    /// When the broker stored it.
    pub at: Timestamp,
    /// Its document.
    pub document: Payload,
}

impl Connection {
    /// Reads the range of commits that a shard of the log holds.
    pub async fn extent(&self, shard: u8) -> Result<Extent, Error> {
        let name = Topology::log_stream(shard);
        let stream = self.jetstream.get_stream(&name).await.map_err(|error| {
            if is_missing(&error) {
                Error::Missing(format!("stream {name}"))
            } else {
                self.failed(format_args!("STREAM.INFO.{name}"), error)
            }
        })?;
        let state = &stream.cached_info().state;
        Ok(Extent {
            first: Sequence::new(state.first_sequence),
            last: Sequence::new(state.last_sequence),
            commits: state.messages,
            first_at: timestamp(state.first_timestamp)?,
            last_at: timestamp(state.last_timestamp)?,
            kept_for: stream.cached_info().config.max_age,
        })
    }

    /// Reads the position of a log reader in a shard's log.
    pub async fn log_position(&self, shard: u8, reader: LogReader) -> Result<Position, Error> {
        self.position(&Topology::log_stream(shard), reader.name())
            .await
    }

    /// When the broker stored the oldest commit of a shard that a log reader has not acked. `None`
    /// says that no commit waits for the reader.
    pub async fn oldest_unacked(
        &self,
        shard: u8,
        reader: LogReader,
    ) -> Result<Option<Timestamp>, Error> {
        let position = self.log_position(shard, reader).await?;
        if position.pending == 0 && position.unacked == 0 {
            return Ok(None);
        }
        self.stored_after(shard, Sequence::new(position.acked))
            .await
    }

    /// When the broker stored the first commit of a shard after a sequence. `None` says that there
    /// is none.
    pub async fn stored_after(
        &self,
        shard: u8,
        sequence: Sequence,
    ) -> Result<Option<Timestamp>, Error> {
        let stream = self
            .jetstream
            .get_stream_no_info(Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        let after = Some(sequence.next().get());
        match stream.direct_get_next_for_subject(">", after).await {
            Ok(message) => timestamp(message.time).map(Some),
            // The commit was removed by age meanwhile.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => {
                let log = Topology::log_stream(shard);
                Err(self.failed(format_args!("DIRECT.GET.{log}"), error))
            }
        }
    }

    /// The request of a commit, read from the commit's subject alone. `None` says that the commit
    /// no longer exists.
    pub async fn request_at(
        &self,
        shard: u8,
        sequence: Sequence,
    ) -> Result<Option<RequestId>, Error> {
        let stream = self
            .jetstream
            .get_stream_no_info(Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        match stream.direct_get(sequence.get()).await {
            Ok(message) => Ok(subject::request(&message.subject, 2)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => {
                let log = Topology::log_stream(shard);
                Err(self.failed(format_args!("DIRECT.GET.{log}"), error))
            }
        }
    }

    /// Reads the position of the orchestrator in a shard's reports.
    pub async fn report_position(&self, shard: u8) -> Result<Position, Error> {
        self.position(REPORTS, &report_consumer_name(shard)).await
    }

    /// Reads the position of the workers of a task type.
    pub async fn task_position(&self, task_type: &str) -> Result<Position, Error> {
        self.position(TASKS, &task_consumer_name(task_type)).await
    }

    async fn position(&self, stream: &str, consumer: &str) -> Result<Position, Error> {
        let found = self.consumer(stream, consumer).await?;
        let info = found.cached_info();
        Ok(Position {
            consumer: consumer.to_owned(),
            acked: info.ack_floor.stream_sequence,
            delivered: info.delivered.stream_sequence,
            pending: info.num_pending,
            unacked: info.num_ack_pending as u64,
            redelivered: u64::try_from(info.num_redelivered).unwrap_or(u64::MAX),
            waiting_pulls: info.num_waiting as u64,
        })
    }

    /// The tasks of a request that are in the work queue: waiting, delayed or running. It examines
    /// at most [`TASKS_LOOKED_AT`] of them.
    pub async fn queued(&self, request: RequestId) -> Result<Vec<Queued>, Error> {
        let subjects = self.subjects(TASKS, &subject::tasks_of(request)).await?;
        let mut queued = Vec::new();
        for subject in subjects.into_iter().take(TASKS_LOOKED_AT) {
            queued.extend(self.queued_at(&subject).await?);
        }
        queued.sort_by_key(|queued| (queued.task.group, queued.task.task));
        Ok(queued)
    }

    async fn queued_at(&self, at: &str) -> Result<Option<Queued>, Error> {
        let stream = self
            .jetstream
            .get_stream_no_info(TASKS)
            .await
            .map_err(Error::unavailable)?;
        // A task that was done meanwhile is no longer there.
        let Ok(message) = stream.direct_get_last_for_subject(at).await else {
            return Ok(None);
        };
        let task = subject::task_id(at)
            .ok_or_else(|| Error::corrupt(format!("the task at {at}"), "it names no task"))?;
        let stored = message.headers.get(crate::tasks::STORED);
        let document = match stored.and_then(|stored| stored.as_str().split_once(':')) {
            Some((sha256, size)) => Payload::Stored {
                sha256: sha256.to_owned(),
                size: size.parse().unwrap_or(0),
            },
            None => Payload::from(&*String::from_utf8_lossy(&message.payload)),
        };
        Ok(Some(Queued {
            task,
            task_type: at.split('.').nth(1).unwrap_or_default().to_owned(),
            sequence: message.sequence,
            at: timestamp(message.time)?,
            document,
        }))
    }

    /// The subjects of a request's reports that wait for the orchestrator, and of its timers that
    /// wait to fire.
    pub async fn reports_of(&self, request: RequestId) -> Result<Vec<String>, Error> {
        let partition = request.partition();
        let mut found = self
            .subjects(REPORTS, &format!("reports.{partition}.{request}.>"))
            .await?;
        let timers = format!("timers.{partition}.{request}.>");
        found.extend(self.subjects(REPORTS, &timers).await?);
        found.sort();
        Ok(found)
    }

    pub(crate) async fn subjects(&self, stream: &str, filter: &str) -> Result<Vec<String>, Error> {
        let name = stream;
        let stream = self
            .jetstream
            .get_stream_no_info(name)
            .await
            .map_err(Error::unavailable)?;
        let subjects = match stream.info_with_subjects(filter).await {
            Ok(subjects) => subjects,
            // A lost queue that is about to be recreated has nothing in it.
            Err(error) if is_missing_stream(&error) => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(format_args!("STREAM.INFO.{name}"), error)),
        };
        let subjects: Vec<(String, usize)> =
            subjects.try_collect().await.map_err(Error::unavailable)?;
        Ok(subjects.into_iter().map(|(subject, _)| subject).collect())
    }

    /// The requests with tasks of a type in the work queue or among the dead letters.
    pub async fn requests_of_type(&self, task_type: &str) -> Result<HashSet<RequestId>, Error> {
        let filter = format!("tasks.{task_type}.>");
        let mut subjects = self.subjects(TASKS, &filter).await?;
        let filter = format!("dead-letters.{task_type}.>");
        subjects.extend(self.subjects(DEAD_LETTERS, &filter).await?);
        let request = |subject: &String| subject.split('.').find_map(|token| token.parse().ok());
        Ok(subjects.iter().filter_map(request).collect())
    }

    /// The id of every dead letter.
    pub async fn dead_letter_ids(&self) -> Result<HashSet<String>, Error> {
        let subjects = self.subjects(DEAD_LETTERS, "dead-letters.>").await?;
        Ok(subjects.iter().map(|at| id_of(at).to_owned()).collect())
    }

    /// The id of every dead letter that is on record as discarded or put back.
    pub async fn taken_letter_ids(&self) -> Result<HashSet<String>, Error> {
        let mut ids = HashSet::new();
        for done in [DISCARDED, PUT_BACK] {
            let root = subject::operation(done, Some(""));
            let subjects = self.subjects(OPERATIONS, &format!("{root}>")).await?;
            let id = |at: &String| at.strip_prefix(&root).map(str::to_owned);
            ids.extend(subjects.iter().filter_map(id));
        }
        Ok(ids)
    }

    /// The dead letters of a request's tasks, oldest first.
    pub async fn dead_letters_of(&self, request: RequestId) -> Result<Vec<DeadLetter>, Error> {
        let filter = Filter {
            request: Some(request),
            ..Filter::default()
        };
        let letters = DeadLetters::new(self.clone());
        let page = letters.page(&filter, 0, LETTERS_LOOKED_AT).await?;
        let given_up = page
            .letters
            .into_iter()
            .filter_map(|kept| match kept.letter {
                Letter::GivenUp(letter) => Some(*letter),
                Letter::Unread(_) => None,
            });
        Ok(given_up.collect())
    }
}

fn timestamp(time: async_nats::datetime::DateTime) -> Result<Timestamp, Error> {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos())
        .map_err(|error| Error::corrupt("a time of the broker", error))
}
