//! Making task documents and putting them into the work queue.

use domain::document::TaskDocument;
use domain::request::{Group, Request, RequestId, State, TaskId, TaskState};
use nats::{Attempts, Loaded, Stored};

use crate::context::Context;
use crate::error::Error;
use crate::stop;
use crate::work::Work;

/// How many task documents are made before they are sent; a group no larger than this is
/// hydrated whole before its first task is sent. After so many it is looked whether the request
/// still runs.
const CHUNK: usize = 256;

/// A task that is to be sent.
struct Pending {
    number: u32,
    attempts: Attempts,
}

/// Sends every task of a group that has not ended. A task that is still there is not sent twice.
///
/// `sequence` is that of the commit that wants it: the request as of then or later says what is
/// to be sent. What follows from a later commit takes its turn after this.
pub async fn group(
    context: &Context,
    request: RequestId,
    group: u32,
    sequence: u64,
) -> Result<(), Error> {
    let work = context.work(request);
    let mut work = work.lock().await;
    let mut batch = Batch {
        context,
        request,
        group,
        work: &mut work,
    };
    let loaded = context.load_since(request, sequence).await?;
    let pending = batch.pending(loaded, |_| true).await?;
    let run = pending.first().map(|task| task.attempts.run);
    for (number, chunk) in pending.chunks(CHUNK).enumerate() {
        if number > 0 && !batch.still_runs(run).await? {
            return stop::tasks_of_ended(context, request).await;
        }
        batch.send(chunk).await?;
    }
    tracing::debug!(%request, group, tasks = pending.len(), "dispatched");
    Ok(())
}

/// Sends one task again whose delay has passed, where it has not ended.
pub async fn task(
    context: &Context,
    request: RequestId,
    group: u32,
    task: u32,
) -> Result<(), Error> {
    let work = context.work(request);
    let mut work = work.lock().await;
    let mut batch = Batch {
        context,
        request,
        group,
        work: &mut work,
    };
    // The request as it is now: what is passed over here is not sent by anybody else.
    let loaded = context.load_current(request).await?;
    let pending = batch.pending(loaded, |number| number == task).await?;
    if pending.is_empty() {
        return Ok(());
    }
    batch.send(&pending).await
}

/// The tasks of one group on their way into the queue.
struct Batch<'a> {
    context: &'a Context,
    request: RequestId,
    group: u32,
    work: &'a mut Work,
}

impl Batch<'_> {
    /// The tasks without an end.
    async fn pending(
        &mut self,
        loaded: Loaded,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<Vec<Pending>, Error> {
        let Some((request, group)) = running(loaded.state(), self.group) else {
            return Ok(Vec::new());
        };
        let pending: Vec<Pending> = group
            .numbered()
            .filter(|(number, task)| wanted(*number) && matches!(task, TaskState::Pending { .. }))
            .map(|(number, task)| Pending {
                number,
                attempts: Attempts {
                    before: task.last_attempt(),
                    earlier: task.earlier_attempts(),
                    run: request.redrives,
                },
            })
            .collect();
        if !pending.is_empty() {
            let up = self.work.bring_up(self.context, self.request, request);
            up.await.map_err(|error| in_group(error, self.group))?;
        }
        Ok(pending)
    }

    async fn still_runs(&self, run: Option<u32>) -> Result<bool, Error> {
        let loaded = self.context.load_current(self.request).await?;
        let running = running(loaded.state(), self.group);
        Ok(running.is_some_and(|(request, _)| Some(request.redrives) == run))
    }

    async fn send(&mut self, pending: &[Pending]) -> Result<(), Error> {
        let documents = self.documents(pending).await;
        let documents = documents.map_err(|error| in_group(error, self.group))?;
        let mut sent = Vec::with_capacity(pending.len());
        for (pending, document) in pending.iter().zip(documents) {
            let task_type = self.context.task_types.of(document.name.as_deref());
            let payload = self.context.payloads.place(document.xml.as_ref()).await?;
            let id = self.id(pending);
            let tasks = &self.context.tasks;
            let on_its_way = tasks
                .send(task_type, id, pending.attempts, &payload)
                .await?;
            sent.push((on_its_way, task_type, pending, payload));
        }
        for (sent, task_type, pending, payload) in sent {
            // In a run after the first the one that is there may be of the run before.
            if sent.answer().await? == Stored::Already && pending.attempts.run > 0 {
                let id = self.id(pending);
                let tasks = &self.context.tasks;
                let over = tasks.send_over(task_type, id, pending.attempts, &payload);
                over.await?;
            }
        }
        Ok(())
    }

    async fn documents(&mut self, pending: &[Pending]) -> Result<Vec<TaskDocument>, Error> {
        let numbers: Vec<u32> = pending.iter().map(|task| task.number).collect();
        self.work
            .tasks(self.context, self.request, self.group, &numbers)
            .await
    }

    fn id(&self, pending: &Pending) -> TaskId {
        TaskId {
            request: self.request,
            group: self.group,
            task: pending.number,
        }
    }
}

fn running(state: &State, index: u32) -> Option<(&Request, &Group)> {
    let request = state.request()?;
    let group = request.running().filter(|group| group.index == index)?;
    Some((request, group))
}

/// A failure of a group says which.
fn in_group(error: Error, group: u32) -> Error {
    match error {
        Error::Fails(mut failure) => {
            failure.group.get_or_insert(group);
            Error::Fails(failure)
        }
        error => error,
    }
}
