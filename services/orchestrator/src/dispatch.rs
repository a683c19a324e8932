//! Dispatch: makes task documents and puts them into the work queue.

use std::ops::Range;
use std::sync::Arc;

use domain::document::TaskDocument;
use domain::request::{
    Group, GroupIndex, Request, RequestId, Run, Sequence, State, TaskId, TaskNumber, TaskState,
    TraceParent,
};
use futures::future::try_join_all;
use nats::{Attempts, Loaded, Origin, Stored, TraceContext};
use tokio::task::{JoinError, JoinSet};

use crate::context::Context;
use crate::error::Error;
use crate::memory_budget::KEPT_MAX_BYTES;
use crate::stop;
use crate::work::Work;

/// How many task documents are made before they are sent. A group up to this size is hydrated whole
/// before its first task is sent. After each chunk the dispatch checks whether the request still
/// runs.
const CHUNK: usize = 256;

/// A task that is to be sent.
struct Pending {
    number: TaskNumber,
    attempts: Attempts,
    failures: u32,
}

/// Which tasks of a group are to be sent.
pub struct Wanted<N> {
    pub group: GroupIndex,
    /// The sequence of the commit that wants the tasks. The state at this sequence or later decides
    /// which tasks to send. The effects of later commits wait for their turn after this dispatch.
    pub sequence: Sequence,
    /// Whether an earlier process may have sent and begun the tasks.
    pub again: bool,
    /// Whether to send a task now.
    pub now: N,
}

/// Sends every task of a group that is released, has not ended and is wanted now. The queue drops
/// duplicates of tasks that it still holds.
pub async fn group(
    context: &Arc<Context>,
    request: RequestId,
    wanted: Wanted<impl Fn(TaskNumber) -> bool>,
) -> Result<(), Error> {
    released(context, request, wanted, 0).await
}

/// Sends the tasks that have been released since the last dispatch.
pub async fn more(
    context: &Arc<Context>,
    request: RequestId,
    mut wanted: Wanted<impl Fn(TaskNumber) -> bool>,
) -> Result<(), Error> {
    let sent = {
        let loaded = context.load_since(request, wanted.sequence).await?;
        let Some((request_now, group)) = running(loaded.state(), wanted.group) else {
            return Ok(());
        };
        let sent = context.dispatched(request, request_now.run, wanted.group);
        if sent.is_some_and(|sent| sent >= group.released()) {
            return Ok(());
        }
        sent
    };
    // Another process may have sent some of the tasks before it ended.
    wanted.again |= sent.is_none();
    released(context, request, wanted, sent.unwrap_or(0)).await
}

/// Sends the released tasks after the first `sent` of them.
async fn released(
    context: &Arc<Context>,
    request: RequestId,
    wanted: Wanted<impl Fn(TaskNumber) -> bool>,
    sent: u32,
) -> Result<(), Error> {
    let group = wanted.group;
    let work = context.work(request);
    let mut work = work.lock().await;
    let mut batch = Batch {
        context,
        request,
        group,
        again: wanted.again,
        origin: Origin::default(),
        work: &mut work,
    };
    let loaded = context.load_since(request, wanted.sequence).await?;
    let upto = running(loaded.state(), group).map(|(now, group)| (now.run, group.released()));
    let last = upto.map_or(0, |(_, last)| last);
    let places = sent as usize..last as usize;
    let pending = batch.pending(loaded, places, wanted.now).await?;
    let run = pending.first().map(|task| task.attempts.run);
    // Send one chunk while the next one is made.
    let mut sending = JoinSet::new();
    let done = in_chunks(&mut batch, &pending, run, &mut sending).await;
    // Wait for the tasks in flight even after an error, so that they arrive before the stop below
    // withdraws them.
    let all = all_sent(&mut sending).await;
    if let Runs::No = done? {
        return Box::pin(stop::tasks_of_ended(context, request)).await;
    }
    all?;
    if let Some((run, last)) = upto {
        context.note_dispatched(request, run, group, last);
    }
    batch.work.let_go_above(KEPT_MAX_BYTES);
    tracing::debug!(%request, group = group.get(), tasks = pending.len(), "dispatched");
    Ok(())
}

/// Whether a request still runs while the dispatch sends its tasks.
enum Runs {
    Yes,
    No,
}

async fn in_chunks(
    batch: &mut Batch<'_>,
    pending: &[Pending],
    run: Option<Run>,
    sending: &mut JoinSet<Result<(), Error>>,
) -> Result<Runs, Error> {
    let mut rest = pending;
    while !rest.is_empty() {
        if rest.len() < pending.len() && !Box::pin(batch.still_runs(run)).await? {
            return Ok(Runs::No);
        }
        let made = batch.make(&rest[..rest.len().min(CHUNK)]).await?;
        rest = &rest[made.len().clamp(1, rest.len())..];
        all_sent(sending).await?;
        if rest.is_empty() {
            send(batch.context, made).await?;
        } else {
            let context = batch.context.clone();
            sending.spawn(async move { send(&context, made).await });
        }
    }
    Ok(Runs::Yes)
}

/// Sends one task again after its delay, unless it has ended. The timer of an earlier run sends
/// nothing: the task of this run has a delay of its own.
pub async fn task(
    context: &Arc<Context>,
    request: RequestId,
    (group, task): (GroupIndex, TaskNumber),
    run: Option<Run>,
) -> Result<(), Error> {
    match open_task(context, request, group, task).await? {
        Some(made) if run.is_none_or(|run| run == made.attempts.run) => {
            send_one(context, made).await
        }
        _ => Ok(()),
    }
}

/// A task ready to send. `None` if it has ended or its request no longer needs it.
pub async fn open_task(
    context: &Arc<Context>,
    request: RequestId,
    group: GroupIndex,
    task: TaskNumber,
) -> Result<Option<Made>, Error> {
    let work = context.work(request);
    let mut work = work.lock().await;
    let mut batch = Batch {
        context,
        request,
        group,
        // The task failed before, and its message is gone.
        again: true,
        origin: Origin::default(),
        work: &mut work,
    };
    // Load the current request: nobody else sends a task that is skipped here.
    let loaded = context.load_current(request).await?;
    let place = task.index().map_or(0..0, |place| place..place + 1);
    let pending = batch.pending(loaded, place, |_| true).await?;
    if pending.is_empty() {
        return Ok(None);
    }
    Ok(batch.make(&pending).await?.pop())
}

/// A task with its document.
pub struct Made {
    pub id: TaskId,
    pub attempts: Attempts,
    /// How many failed attempts of this run are recorded.
    pub failures: u32,
    pub origin: Origin,
    pub document: TaskDocument,
}

async fn all_sent(sending: &mut JoinSet<Result<(), Error>>) -> Result<(), Error> {
    while let Some(sent) = sending.join_next().await {
        sent.map_err(broken)??;
    }
    Ok(())
}

/// Resumes a panic from a spawned send as a panic of this turn.
fn broken(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Error::Later(error.to_string()),
    }
}

async fn send(context: &Context, tasks: Vec<Made>) -> Result<(), Error> {
    let sending = tasks.into_iter().map(|task| send_one(context, task));
    try_join_all(sending).await.map(|_| ())
}

async fn send_one(context: &Context, task: Made) -> Result<(), Error> {
    let Context {
        tasks, payloads, ..
    } = context;
    let Made {
        id,
        attempts,
        origin,
        document,
        failures: _,
    } = task;
    let task_type = context.task_type(&origin.tenant, document.name.as_deref());
    let payload = {
        // The turn keeps its place of the shard, because it also keeps all the documents that it
        // has made.
        let _place = if document.xml.len() <= nats::INLINE_MAX_BYTES {
            None
        } else {
            context.outside.transfer().await
        };
        payloads.place(document.xml.into()).await?
    };
    let sending = tasks.send(task_type, id, attempts, &payload, &origin);
    let stored = sending.await?;
    // In a run after the first, the stored message may belong to an earlier run.
    if stored == Stored::Already && attempts.run > Run::FIRST {
        Box::pin(tasks.send_over(task_type, id, attempts, &payload, &origin)).await?;
    }
    Ok(())
}

/// The tasks of one group on their way into the queue.
struct Batch<'a> {
    context: &'a Arc<Context>,
    request: RequestId,
    group: GroupIndex,
    /// Whether an earlier process may have sent and begun the tasks.
    again: bool,
    /// Where the tasks come from, with the position of the request in the caller's trace.
    origin: Origin,
    work: &'a mut Work,
}

impl Batch<'_> {
    /// The tasks at these places of the group that have not ended.
    async fn pending(
        &mut self,
        loaded: Loaded,
        places: Range<usize>,
        wanted: impl Fn(TaskNumber) -> bool,
    ) -> Result<Vec<Pending>, Error> {
        let Some((request, group)) = running(loaded.state(), self.group) else {
            return Ok(Vec::new());
        };
        let pending: Vec<Pending> = group
            .numbered()
            .skip(places.start)
            .take(places.len())
            .filter(|(number, task)| wanted(*number) && matches!(task, TaskState::Pending { .. }))
            .map(|(number, task)| Pending {
                number,
                failures: task.failures(),
                attempts: Attempts {
                    before: task.last_attempt(),
                    earlier: task.earlier_attempts(),
                    run: request.run,
                    again: self.again,
                },
            })
            .collect();
        if !pending.is_empty() {
            self.origin = Origin {
                tenant: request.tenant.clone(),
                trace: TraceContext {
                    parent: request.traceparent.clone(),
                    state: request.tracestate.clone(),
                },
            };
            let up = self.work.bring_up(self.context, self.request, request);
            up.await.map_err(|error| in_group(error, self.group))?;
        }
        Ok(pending)
    }

    async fn still_runs(&self, run: Option<Run>) -> Result<bool, Error> {
        let loaded = self.context.load_current(self.request).await?;
        let running = running(loaded.state(), self.group);
        Ok(running.is_some_and(|(request, _)| Some(request.run) == run))
    }

    /// Makes the first of these tasks, as many as fit into one batch. A number that the group does
    /// not have gets no document and is skipped.
    async fn make(&mut self, pending: &[Pending]) -> Result<Vec<Made>, Error> {
        let documents = self.documents(pending).await;
        let documents = documents.map_err(|error| in_group(error, self.group))?;
        let made = pending.iter().zip(documents).map(|(task, document)| Made {
            id: self.id(task),
            attempts: task.attempts,
            failures: task.failures,
            origin: Origin {
                tenant: self.origin.tenant.clone(),
                trace: self.trace(task),
            },
            document,
        });
        Ok(made.collect())
    }

    async fn documents(&mut self, pending: &[Pending]) -> Result<Vec<TaskDocument>, Error> {
        let numbers: Vec<TaskNumber> = pending.iter().map(|task| task.number).collect();
        self.work
            .tasks(self.context, self.request, self.group, &numbers)
            .await
    }

    /// What goes with a task: where traces are sent, the position of its next attempt.
    fn trace(&self, pending: &Pending) -> TraceContext {
        let Some(ratio) = self.context.traces else {
            return self.origin.trace.clone();
        };
        let (id, next) = (self.id(pending), pending.attempts.before.next());
        let caller = self.origin.trace.parent.as_ref();
        TraceContext {
            parent: Some(TraceParent::of_attempt(id, next, caller, ratio)),
            state: self.origin.trace.state.clone(),
        }
    }

    fn id(&self, pending: &Pending) -> TaskId {
        TaskId {
            request: self.request,
            group: self.group,
            task: pending.number,
        }
    }
}

fn running(state: &State, index: GroupIndex) -> Option<(&Request, &Group)> {
    let request = state.request()?;
    let group = request.running().filter(|group| group.index == index)?;
    Some((request, group))
}

/// Adds the group to a failure.
fn in_group(error: Error, group: GroupIndex) -> Error {
    match error {
        Error::Fails(mut failure) => {
            failure.group.get_or_insert(group);
            Error::Fails(failure)
        }
        error => error,
    }
}
