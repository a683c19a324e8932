//! What follows from a commit.

use domain::request::{Effect, RequestId, TaskId, react};
use jiff::Timestamp;
use nats::Delivery;

use crate::context::Context;
use crate::error::Error;
use crate::{advance, dispatch};

/// Does everything that follows from a delivered commit. A commit that cannot be read is set
/// aside, so that it blocks nothing; the request's own reader will say so.
pub async fn of_commit(context: &Context, delivery: &Delivery) -> Result<(), Error> {
    let commit = match delivery.commit() {
        Ok(commit) => commit,
        Err(error) => {
            tracing::error!(%error, "a commit is set aside");
            return Ok(context.dead_letters.set_aside(delivery, &error).await?);
        }
    };
    context.log.observe(&commit).await;
    let effects = {
        let loaded = context.log.load(commit.request).await?;
        let state = loaded.state();
        let effects = commit.events.iter().flat_map(|event| react(state, event));
        effects.collect::<Vec<_>>()
    };
    for effect in effects {
        apply(context, commit.request, commit.at, effect).await?;
    }
    if commit.is_terminal() {
        context.forget_work(commit.request);
    }
    Ok(())
}

async fn apply(
    context: &Context,
    request: RequestId,
    at: Timestamp,
    effect: Effect,
) -> Result<(), Error> {
    match effect {
        Effect::Advance => advance::without_reports(context, request).await,
        Effect::Dispatch { group } => dispatch::group(context, request, group).await,
        Effect::SetGroupTimer { group, deadline } => {
            Ok(context.timers.set_group(request, group, deadline).await?)
        }
        Effect::SetRequestTimer { run } => {
            let deadline = at
                .checked_add(context.request_timeout)
                .unwrap_or(Timestamp::MAX);
            Ok(context.timers.set_request(request, run, deadline).await?)
        }
        Effect::SetTaskTimer { group, task, due } => {
            let task = TaskId {
                request,
                group,
                task,
            };
            Ok(context.timers.set_task(task, due).await?)
        }
        Effect::ClearGroupTimer { group } => Ok(context.timers.clear_group(request, group).await?),
        Effect::ClearRequestTimer => Ok(context.timers.clear_request(request).await?),
        Effect::StopTasks => {
            context.tasks.tell_to_stop(request).await?;
            let taken_back = context.tasks.take_back(request).await?;
            tracing::info!(%request, taken_back, "its waiting tasks are taken back");
            Ok(())
        }
    }
}
