//! What follows from a commit.

use std::collections::HashMap;
use std::sync::Arc;

use domain::request::{Attempt, Effect, Event, RequestId, TaskId, delayed, react};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use nats::Commit;

use crate::context::Context;
use crate::deferred_timers::{self, Timer, Wanted};
use crate::error::Error;
use crate::{advance, dispatch, stop};

/// How many dead letters of a commit are completed at once.
const LETTERS_AT_ONCE: usize = 32;

/// Does everything that follows from a delivered commit. A commit that cannot be read, or one of
/// a request whose log cannot, is set aside, so that it blocks nothing.
pub async fn of_commit(
    context: &Arc<Context>,
    held: &Arc<deferred_timers::Commit>,
) -> Result<(), Error> {
    let delivery = held.delivery();
    let done = match context.log.delivered(delivery).await {
        Ok(commit) => follow(context, Cause::Delivered(held), &commit).await,
        Err(error) => Err(Error::of_log(error)),
    };
    match done {
        Err(Error::Unreadable(error)) => {
            tracing::error!(%error, "a commit is set aside");
            Box::pin(context.dead_letters.set_aside(delivery, &error)).await?;
            Ok(())
        }
        done => done,
    }
}

/// Does once more what follows from each commit of a request that has not ended, at least up to
/// commit `last`: the queues lost what they held. What has been overtaken is not done any more.
pub async fn of_open(context: &Arc<Context>, request: RequestId, last: u64) -> Result<(), Error> {
    let commits = context.log.read(request, 0).await.map_err(Error::of_log)?;
    if commits.is_empty()
        && context
            .log
            .last_sequence(request)
            .await
            .map_err(Error::of_log)?
            == 0
    {
        // The log is too old for it, and nothing follows any more.
        tracing::error!(%request, "it is not in the log any more, though it had not ended");
        return Ok(());
    }
    if commits.last().is_none_or(|commit| commit.sequence < last) {
        // It came from a replica that is behind.
        return Err(Error::Later("not all of its commits are to be read".into()));
    }
    let events = commits.iter().flat_map(|commit| &commit.events);
    let delayed = delayed(events, Timestamp::now());
    for (&(group, task), &due) in &delayed {
        let task = TaskId {
            request,
            group,
            task,
        };
        context.timers.set_task(task, due).await?;
    }
    for commit in &commits {
        match follow(context, Cause::Lost(&delayed), commit).await {
            Err(Error::Fails(failure)) => {
                tracing::error!(%request, code = failure.code, "could not re-apply the effects of a commit");
            }
            done => done?,
        }
    }
    Ok(())
}

/// Why something is done that follows from a commit.
#[derive(Clone, Copy)]
enum Cause<'a> {
    /// It was delivered, and waits until it is done.
    Delivered(&'a Arc<deferred_timers::Commit>),
    /// The queues lost what they held. These tasks have timers.
    Lost(&'a HashMap<(u32, u32), Timestamp>),
}

impl Cause<'_> {
    /// Whether what follows may have been done before, by a process that ended.
    fn may_have_been_done(self) -> bool {
        match self {
            Self::Delivered(held) => held.delivery().comes_again(),
            Self::Lost(_) => true,
        }
    }
}

async fn follow(context: &Arc<Context>, cause: Cause<'_>, commit: &Commit) -> Result<(), Error> {
    let request = commit.request;
    // In this order: a timer that a redrive sets after the look at the request comes after it.
    let timers = match commit.events.last() {
        Some(Event::Failed(_) | Event::Cancelled(_)) => {
            Some(Box::pin(context.timers.last_sequence()).await?)
        }
        _ => None,
    };
    // A commit that comes again may have been followed up, and overtaken, by another instance.
    let again = match cause {
        Cause::Delivered(held) => held.comes_again(),
        Cause::Lost(_) => true,
    };
    let effects: Vec<Effect> = {
        // It is held once only: what was observed is let go before the request is looked at anew.
        let observed = context.log.observe(commit).await;
        let observed = observed.filter(|_| timers.is_none() && !again);
        let loaded = match observed {
            Some(loaded) => loaded,
            None if timers.is_some() || again => Box::pin(context.load_current(request)).await?,
            None => context.load_since(request, commit.sequence).await?,
        };
        let state = loaded.state();
        let effects = commit.events.iter().flat_map(|event| react(state, event));
        let mut effects: Vec<Effect> = effects.collect();
        // Every task that ended asks for more of its group.
        effects.dedup();
        effects
    };
    if effects.iter().any(wants_document) {
        strike(commit);
    }
    let (letters, effects) = effects.into_iter().partition::<Vec<_>, _>(is_letter);
    Box::pin(complete(context, commit.sequence, letters)).await?;
    let moment = Moment {
        cause,
        sequence: commit.sequence,
        at: commit.at,
        timers,
    };
    for effect in effects {
        let done = apply(context, request, &moment, effect).await;
        context.or_abort(request, done).await?;
    }
    if commit.is_terminal() {
        context.forget_work(request);
        // Few that have ended go on; what they were fills the memory of those that run.
        context.log.forget(request);
    }
    Ok(())
}

fn wants_document(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Advance | Effect::Dispatch { .. } | Effect::DispatchMore { .. }
    )
}

/// The poison of tests is in the document.
fn strike(commit: &Commit) {
    for event in &commit.events {
        if let Event::Received(received) = event
            && let Some(document) = received.document.inline()
        {
            runtime::strike("orchestrator", document.as_bytes());
        }
    }
}

fn is_letter(effect: &Effect) -> bool {
    matches!(effect, Effect::CompleteDeadLetter { .. })
}

/// Writes the histories into the dead letters of a commit.
async fn complete(context: &Context, sequence: u64, letters: Vec<Effect>) -> Result<(), Error> {
    if letters.is_empty() {
        return Ok(());
    }
    let letters = letters.into_iter().filter_map(|effect| match effect {
        Effect::CompleteDeadLetter { letter, attempts } => Some((letter, attempts)),
        _ => None,
    });
    let complete = |(letter, attempts): (String, Vec<Attempt>)| async move {
        context
            .dead_letters
            .complete(&letter, attempts, sequence)
            .await
    };
    let completed = futures::stream::iter(letters)
        .map(complete)
        .buffer_unordered(LETTERS_AT_ONCE);
    Ok(completed.try_collect().await?)
}

/// Which commit and when, and up to which sequence the timers were set before it was looked at.
struct Moment<'a> {
    cause: Cause<'a>,
    sequence: u64,
    at: Timestamp,
    timers: Option<u64>,
}

async fn apply(
    context: &Arc<Context>,
    request: RequestId,
    moment: &Moment<'_>,
    effect: Effect,
) -> Result<(), Error> {
    let timers = &context.timers;
    match effect {
        Effect::Advance => Box::pin(advance::without_reports(context, request)).await?,
        Effect::Dispatch { group } | Effect::DispatchMore { group } => {
            let now = |task: u32| match moment.cause {
                Cause::Delivered(_) => true,
                Cause::Lost(delayed) => !delayed.contains_key(&(group, task)),
            };
            let wanted = dispatch::Wanted {
                group,
                sequence: moment.sequence,
                again: moment.cause.may_have_been_done(),
                now,
            };
            if matches!(effect, Effect::Dispatch { .. }) {
                dispatch::group(context, request, wanted).await?;
            } else {
                Box::pin(dispatch::more(context, request, wanted)).await?;
            }
        }
        Effect::SetGroupTimer { group, deadline } => {
            let timer = Timer::Group(request, group);
            want(context, moment, timer, deadline, 0).await?;
        }
        Effect::SetRequestTimer { run } => {
            let deadline = moment.at.checked_add(context.request_timeout);
            let deadline = deadline.unwrap_or(Timestamp::MAX);
            want(context, moment, Timer::Request(request), deadline, run).await?;
        }
        Effect::SetTaskTimer { group, task, due } => {
            let task = TaskId {
                request,
                group,
                task,
            };
            Box::pin(timers.set_task(task, due)).await?;
        }
        Effect::ClearGroupTimer { group } => {
            if !context.held.let_go(Timer::Group(request, group)).await {
                Box::pin(timers.clear_group(request, group, moment.timers)).await?;
            }
        }
        Effect::ClearRequestTimer => {
            if !context.held.let_go(Timer::Request(request)).await {
                Box::pin(timers.clear_request(request, moment.timers)).await?;
            }
        }
        Effect::StopTasks => Box::pin(stop::tasks(context, request)).await?,
        // They were completed before.
        Effect::CompleteDeadLetter { .. } => {}
    }
    Ok(())
}

async fn want(
    context: &Context,
    moment: &Moment<'_>,
    timer: Timer,
    due: Timestamp,
    run: u32,
) -> Result<(), Error> {
    let wanted = Wanted { timer, due, run };
    match moment.cause {
        Cause::Delivered(commit) if !context.held.is_soon(due) => {
            context.held.hold(wanted, commit).await;
        }
        Cause::Delivered(_) | Cause::Lost(_) => {
            Box::pin(context.held.set_now(&context.timers, wanted)).await?;
        }
    }
    Ok(())
}
