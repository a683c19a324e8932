//! Making task documents and putting them into the work queue.

use domain::document::TaskDocument;
use domain::request::{RequestId, State, TaskId, TaskState};
use nats::Attempts;

use crate::context::Context;
use crate::error::Error;

/// How many task documents are made before they are sent; a group no larger than this is
/// hydrated whole before its first task is sent.
const CHUNK: usize = 256;

/// A task that is to be sent.
struct Pending {
    number: u32,
    attempts: Attempts,
}

/// Sends every task of a group that has not ended. A task that is still there is not sent twice.
pub async fn group(context: &Context, request: RequestId, group: u32) -> Result<(), Error> {
    let work = context.work(request);
    let mut work = work.lock().await;
    let pending = {
        let loaded = context.log.load(request).await?;
        let pending = pending(loaded.state(), group);
        if let (false, Some(state)) = (pending.is_empty(), loaded.state().request()) {
            work.bring_up(context, request, state).await?;
        }
        pending
    };
    let mut rest = pending.as_slice();
    while !rest.is_empty() {
        let numbers: Vec<u32> = rest.iter().take(CHUNK).map(|task| task.number).collect();
        let documents = match work.tasks(context, request, group, &numbers).await {
            Ok(documents) => documents,
            Err(Error::Fails(mut failure)) => {
                failure.group = Some(group);
                return context.abort(request, Error::Fails(failure)).await;
            }
            Err(error) => return Err(error),
        };
        // A number that the group does not have gives no document, and ends it.
        let made = documents.len();
        send(context, request, group, rest, documents).await?;
        rest = rest.get(made.max(1)..).unwrap_or_default();
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
    let pending: Vec<Pending> = {
        let loaded = context.log.load(request).await?;
        let mut pending = pending(loaded.state(), group);
        pending.retain(|pending| pending.number == task);
        if let (false, Some(state)) = (pending.is_empty(), loaded.state().request()) {
            work.bring_up(context, request, state).await?;
        }
        pending
    };
    if pending.is_empty() {
        return Ok(());
    }
    let documents = work.tasks(context, request, group, &[task]).await?;
    send(context, request, group, &pending, documents).await
}

fn pending(state: &State, index: u32) -> Vec<Pending> {
    let group = state
        .request()
        .and_then(|request| request.running())
        .filter(|group| group.index == index);
    let Some(group) = group else {
        return Vec::new();
    };
    group
        .numbered()
        .filter(|(_, task)| matches!(task, TaskState::Pending { .. }))
        .map(|(number, task)| Pending {
            number,
            attempts: Attempts {
                before: task.last_attempt(),
                earlier: task.earlier_attempts(),
            },
        })
        .collect()
}

async fn send(
    context: &Context,
    request: RequestId,
    group: u32,
    pending: &[Pending],
    documents: Vec<TaskDocument>,
) -> Result<(), Error> {
    let mut sent = Vec::with_capacity(pending.len());
    for (pending, document) in pending.iter().zip(documents) {
        let id = TaskId {
            request,
            group,
            task: pending.number,
        };
        let task_type = context.task_types.of(document.name.as_deref());
        let payload = context.payloads.place(document.xml.as_ref()).await?;
        let on_its_way = context
            .tasks
            .send(task_type, id, pending.attempts, &payload)
            .await?;
        sent.push(on_its_way);
    }
    for sent in sent {
        sent.answer().await?;
    }
    Ok(())
}
