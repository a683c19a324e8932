//! The effects of a commit.

use std::collections::HashMap;
use std::sync::Arc;

use domain::request::{
    Attempt, Effect, Event, GroupIndex, RequestId, Run, Sequence, TaskId, TaskNumber, delayed,
    react,
};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use nats::Commit;

use crate::context::Context;
use crate::deferred_timers::{self, Timer, Wanted};
use crate::error::Error;
use crate::{advance, dispatch, stop};

/// How many dead letters of a commit are completed at once.
const LETTERS_AT_ONCE: usize = 32;

/// Applies all effects of a delivered commit. If the commit or the log of its request cannot be
/// read, the commit becomes a dead letter, so that it blocks nothing.
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
            tracing::error!(%error, "a commit cannot be read and becomes a dead letter");
            Box::pin(context.dead_letters.set_aside(delivery, &error)).await?;
            Ok(())
        }
        done => done,
    }
}

/// Applies the effects of each commit of an open request again, because the queues were lost. The
/// read must reach at least commit `last`. Effects that later events have overtaken are skipped.
pub async fn of_open(
    context: &Arc<Context>,
    request: RequestId,
    last: Sequence,
) -> Result<(), Error> {
    let commits = context
        .log
        .read(request, Sequence::NONE)
        .await
        .map_err(Error::of_log)?;
    if commits.is_empty()
        && context
            .log
            .last_sequence(request)
            .await
            .map_err(Error::of_log)?
            == Sequence::NONE
    {
        // The log has already expired this request, so it has no effects left.
        tracing::error!(%request, "the log no longer has a request that had not ended");
        return Ok(());
    }
    if commits.last().is_none_or(|commit| commit.sequence < last) {
        // The answer came from a replica that lags behind.
        return Err(Error::Later(
            "not all of its commits can be read yet".into(),
        ));
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

/// Why the effects of a commit are applied.
#[derive(Clone, Copy)]
enum Cause<'a> {
    /// The broker delivered the commit, which stays unacked until its effects are applied.
    Delivered(&'a Arc<deferred_timers::Commit>),
    /// The queues were lost. The tasks in this map have timers.
    Lost(&'a HashMap<(GroupIndex, TaskNumber), Timestamp>),
}

impl Cause<'_> {
    /// Whether a process that ended may already have applied these effects.
    fn may_have_been_done(self) -> bool {
        match self {
            Self::Delivered(held) => held.delivery().comes_again(),
            Self::Lost(_) => true,
        }
    }
}

async fn follow(context: &Arc<Context>, cause: Cause<'_>, commit: &Commit) -> Result<(), Error> {
    let request = commit.request;
    // Read the timers' sequence before the request. A timer that a redrive sets after this read of
    // the request then has a higher sequence and survives the clearing.
    let timers = match commit.events.last() {
        Some(Event::Failed(_) | Event::Cancelled(_)) => {
            Some(Box::pin(context.timers.last_sequence()).await?)
        }
        _ => None,
    };
    // Another instance may have applied the effects of a redelivered commit, and the request may
    // have moved on since.
    let again = match cause {
        Cause::Delivered(held) => held.comes_again(),
        Cause::Lost(_) => true,
    };
    let effects: Vec<Effect> = {
        // Keep only one state in memory: drop the observed one before loading the request again.
        let observed = context.log.observe(commit).await;
        let observed = observed.filter(|_| timers.is_none() && !again);
        let loaded = match observed {
            Some(loaded) => loaded,
            None if timers.is_some() || again => Box::pin(context.load_current(request)).await?,
            None => context.load_since(request, commit.sequence).await?,
        };
        let state = loaded.state();
        let effects = commit.events.iter().flat_map(|event| react(state, event));
        effects.collect()
    };
    if effects.iter().any(wants_document) {
        strike(commit);
    }
    let (letters, mut effects) = effects.into_iter().partition::<Vec<_>, _>(is_letter);
    // Every task that ended asks for more tasks of its group.
    effects.dedup();
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
        // Few ended requests run again, and their cached state would take memory from those that
        // run.
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

/// Strikes the poison that tests put into the document.
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

/// Writes the attempt histories into the dead letters of a commit.
async fn complete(
    context: &Context,
    sequence: Sequence,
    letters: Vec<Effect>,
) -> Result<(), Error> {
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

/// The sequence and time of a commit, and the timers' last sequence before the request was read.
struct Moment<'a> {
    cause: Cause<'a>,
    sequence: Sequence,
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
            let now = |task: TaskNumber| match moment.cause {
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
            want(context, moment, timer, deadline, Run::FIRST).await?;
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
        // `follow` completed the dead letters before.
        Effect::CompleteDeadLetter { .. } => {}
    }
    Ok(())
}

async fn want(
    context: &Context,
    moment: &Moment<'_>,
    timer: Timer,
    due: Timestamp,
    run: Run,
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
