//! The work queue: one message for each task, until it is done.

use std::str::FromStr;

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use domain::access::Tenant;
use domain::request::{AttemptNumber, Given, Payload, RequestId, Run, TaskId};
use futures::StreamExt;
use tokio::time::Instant;

use crate::group_commit::{GroupCommit, Outgoing};
use crate::tenant::{self, TENANT};
use crate::topology::TASKS;
use crate::trace::TraceContext;
use crate::{Connection, Delivery, Error, Stored, Unreadable, payload_sha256, subject};

/// The number of attempts before this message. The broker starts again from 1 to count the
/// deliveries of each message.
const ATTEMPTS_BEFORE: HeaderName = HeaderName::from_static("Fanfold-Attempts-Before");
/// The last attempt before the request was redriven.
const EARLIER_ATTEMPTS: HeaderName = HeaderName::from_static("Fanfold-Earlier-Attempts");
/// The run of the task.
const RUN: HeaderName = HeaderName::from_static("Fanfold-Run");
/// The header that says that the work may have been begun before, by deliveries of another message
/// that the broker no longer counts.
pub(crate) const AGAIN: HeaderName = HeaderName::from_static("Fanfold-Again");
/// The hash and the size of the task document, when it is too large for the message.
pub(crate) const STORED: HeaderName = HeaderName::from_static("Fanfold-Stored");

/// Publishes tasks.
#[derive(Clone)]
pub struct Tasks {
    connection: Connection,
    publishing: GroupCommit,
}

impl Tasks {
    /// Publishes over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            publishing: GroupCommit::to_queue(connection.clone()),
            connection,
        }
    }

    /// Sends one task, and waits until the broker has it.
    pub async fn send(
        &self,
        task_type: &str,
        id: TaskId,
        attempts: Attempts,
        document: &Payload,
        origin: &Origin,
    ) -> Result<Stored, Error> {
        let (mut headers, body) = task_headers(attempts, document);
        tenant::insert(&mut headers, TENANT, &origin.tenant);
        origin.trace.insert_into(&mut headers);
        let message = Outgoing {
            subject: subject::task(task_type, id),
            headers,
            body,
        };
        self.publish(message).await
    }

    pub(crate) async fn publish(&self, message: Outgoing) -> Result<Stored, Error> {
        Stored::from_answer(self.publishing.publish(message).await)
    }

    async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(TASKS);
        stream.await.map_err(Error::unavailable)
    }

    /// Sends a task in place of the message of an earlier run, which a worker has yet to answer. If
    /// that message stayed, its end would be taken for the end of this one. A message of this run
    /// stays.
    pub async fn send_over(
        &self,
        task_type: &str,
        id: TaskId,
        attempts: Attempts,
        document: &Payload,
        origin: &Origin,
    ) -> Result<(), Error> {
        let stream = self.stream().await?;
        let subject = subject::task(task_type, id);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let run = message.headers.get(RUN);
                let run: Option<Run> = run.and_then(|run| run.as_str().parse().ok());
                let run = run.unwrap_or(Run::FIRST);
                if attempts.run <= run {
                    return Ok(());
                }
                // A message that is gone by now is as good as deleted.
                let deleted = stream.delete_message(message.sequence).await;
                tracing::debug!(task = %id, run = run.get(), ?deleted, "deleted a task of an earlier run from the queue");
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {}
            Err(error) => {
                let call = format_args!("STREAM.MSG.GET.{TASKS}");
                return Err(self.connection.failed(call, error));
            }
        }
        let sent = self.send(task_type, id, attempts, document, origin);
        sent.await.map(|_| ())
    }

    /// The last sequence that the broker gave to a task.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        let stream = self.connection.described(TASKS).await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// Withdraws the waiting tasks of a request up to this sequence. Tasks that are sent later may
    /// belong to a redrive.
    pub async fn take_back(&self, request: RequestId, up_to: u64) -> Result<u64, Error> {
        let purge = self.stream().await?.purge();
        let purge = purge.sequence(up_to + 1).filter(subject::tasks_of(request));
        let purged = purge.await;
        let call = format_args!("STREAM.PURGE.{TASKS}");
        Ok(purged
            .map_err(|error| self.connection.failed(call, error))?
            .purged)
    }

    /// Tells the workers that run tasks of this run of a request, or of an earlier run, to stop. A
    /// worker that misses the notice does needless work, and its report changes nothing.
    pub async fn tell_to_stop(&self, stop: Stop) -> Result<(), Error> {
        self.connection
            .client
            .publish(subject::stop(stop.request), stop.run.to_string().into())
            .await
            .map_err(Error::unavailable)
    }

    /// Subscribes to the notices that tasks must stop.
    pub async fn stops(
        &self,
    ) -> Result<impl futures::Stream<Item = Stop> + Send + Unpin + use<>, Error> {
        let notices = self
            .connection
            .client
            .subscribe("stop.*")
            .await
            .map_err(Error::unavailable)?;
        Ok(notices
            .filter_map(|notice| std::future::ready(stop(&notice)))
            .boxed())
    }
}

/// The headers and the body of a task's message.
pub(crate) fn task_headers(attempts: Attempts, document: &Payload) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    if attempts.before > AttemptNumber::NONE {
        headers.insert(ATTEMPTS_BEFORE, attempts.before.to_string());
    }
    if attempts.earlier > AttemptNumber::NONE {
        headers.insert(EARLIER_ATTEMPTS, attempts.earlier.to_string());
    }
    if attempts.run > Run::FIRST {
        headers.insert(RUN, attempts.run.to_string());
    }
    if attempts.again {
        headers.insert(AGAIN, "true");
    }
    let body = match document {
        Payload::Inline(text) => Bytes::copy_from_slice(text.as_bytes()),
        Payload::Stored { sha256, size } => {
            headers.insert(STORED, format!("{sha256}:{size}"));
            Bytes::new()
        }
    };
    (headers, body)
}

/// The last attempt before a message, and its run. One that cannot be read is as if it was not
/// there.
pub(crate) fn counts(delivery: &Delivery) -> (AttemptNumber, Run) {
    let headers = delivery.message().headers.as_ref();
    let count = |name| {
        let value = headers.and_then(|headers| headers.get(name))?;
        value.as_str().parse().ok()
    };
    let or_none = |count: Option<u32>| count.unwrap_or(0);
    let before = AttemptNumber::new(or_none(count(ATTEMPTS_BEFORE)));
    (before, Run::new(or_none(count(RUN))))
}

fn stop(notice: &async_nats::Message) -> Option<Stop> {
    let run = std::str::from_utf8(&notice.payload).ok()?.parse().ok()?;
    let request = subject::request(&notice.subject, 1)?;
    Some(Stop { request, run })
}

/// The notice that tasks must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The request of the tasks.
    pub request: RequestId,
    /// The last run of the tasks. Tasks of earlier runs stop too.
    pub run: Run,
}

/// Where a task comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The tenant of its request.
    pub tenant: Tenant,
    /// The position of the next attempt in the trace of its request, or that of the request in the
    /// trace of the submitter.
    pub trace: TraceContext,
}

/// The counts of a task's attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The last attempt so far.
    pub before: AttemptNumber,
    /// The last attempt before the request was redriven.
    pub earlier: AttemptNumber,
    /// The run of the task.
    pub run: Run,
    /// Whether the task may have been begun before without being counted, because it is sent again.
    pub again: bool,
}

impl Attempts {
    /// The position of an attempt. The message has that of its first delivery.
    fn trace(self, id: TaskId, delivery: &Delivery, delivered: u32) -> TraceContext {
        let TraceContext { parent, state } = TraceContext::of(delivery.message().headers.as_ref());
        let (first, attempt) = (self.before.next(), self.before.plus(delivered));
        TraceContext {
            parent: parent.map(|parent| parent.of_later(id, first, attempt)),
            state,
        }
    }
}

/// A task as it is delivered to a worker.
pub struct TaskMessage {
    /// The task.
    pub id: TaskId,
    /// The type of the task.
    pub task_type: String,
    /// This attempt.
    pub attempt: AttemptNumber,
    /// The last attempt before the request was redriven.
    pub earlier_attempts: AttemptNumber,
    /// The run in which the task was sent.
    pub run: Run,
    /// Whether it may have been begun before: it was delivered before, or sent again.
    pub again: bool,
    /// Whether it was sent again, for instance because the queue lost its content.
    pub sent_again: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// The task document.
    pub document: Payload,
    /// The message, to be answered.
    pub delivery: Delivery,
    /// When the broker gave the task to this worker, at the earliest. The lease runs from then.
    pub given_at: Instant,
}

impl TaskMessage {
    /// The type and the document hash that the task gives its worker.
    #[must_use]
    pub fn given(&self) -> Given {
        Given {
            task_type: self.task_type.clone(),
            sha256: Some(payload_sha256(&self.document)),
        }
    }

    pub(crate) fn parse(delivery: Delivery, given_at: Instant) -> Result<Self, Box<Unreadable>> {
        match Self::fields(&delivery) {
            Ok((id, task_type, delivered, attempts, document)) => Ok(Self {
                id,
                task_type,
                again: attempts.again || delivered > 1,
                sent_again: attempts.again,
                attempt: attempts.before.plus(delivered),
                earlier_attempts: attempts.earlier,
                run: attempts.run,
                origin: Origin {
                    tenant: delivery.tenant(),
                    trace: attempts.trace(id, &delivery, delivered),
                },
                document,
                delivery,
                given_at,
            }),
            Err(reason) => {
                let what = format!("the task at {}", delivery.subject());
                Err(Unreadable::boxed(delivery, Error::Corrupt { what, reason }))
            }
        }
    }

    fn fields(delivery: &Delivery) -> Result<(TaskId, String, u32, Attempts, Payload), String> {
        let subject = delivery.subject();
        let id = subject::task_id(subject).ok_or("its subject names no task")?;
        let task_type = subject
            .split('.')
            .nth(1)
            .ok_or("its subject names no type")?;
        let place = delivery.place().map_err(|error| error.to_string())?;
        let delivered = place.delivered;
        let headers = delivery.message().headers.as_ref();
        let header = |name: &HeaderName| {
            headers
                .and_then(|h| h.get(name.clone()))
                .map(async_nats::HeaderValue::as_str)
        };
        let count = |name: &HeaderName| {
            header(name)
                .map_or(Ok(0), u32::from_str)
                .map_err(|error| format!("{name}: {error}"))
        };
        let attempts = Attempts {
            before: AttemptNumber::new(count(&ATTEMPTS_BEFORE)?),
            earlier: AttemptNumber::new(count(&EARLIER_ATTEMPTS)?),
            run: Run::new(count(&RUN)?),
            again: header(&AGAIN).is_some(),
        };
        let document = match header(&STORED) {
            None => std::str::from_utf8(delivery.body())
                .map(Payload::from)
                .map_err(|error| error.to_string())?,
            Some(stored) => stored
                .split_once(':')
                .and_then(|(sha256, size)| {
                    let (sha256, size) = (sha256.to_owned(), size.parse().ok()?);
                    Some(Payload::Stored { sha256, size })
                })
                .ok_or_else(|| format!("{STORED} is '{stored}'"))?,
        };
        Ok((id, task_type.to_owned(), delivered, attempts, document))
    }
}
