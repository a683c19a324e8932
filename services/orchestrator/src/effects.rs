//! The effects of a commit.

use std::sync::Arc;

use domain::request::{Attempt, Effect, Event, RequestId, Run, Sequence, TaskId, react};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use nats::Commit;

use crate::context::Context;
use crate::deferred_timers::{self, Timer};
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
        Ok(commit) => follow(context, held, &commit).await,
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

/// Applies the effects of a commit that the broker delivered. The commit stays unacked until then.
async fn follow(
    context: &Arc<Context>,
    held: &Arc<deferred_timers::Commit>,
    commit: &Commit,
) -> Result<(), Error> {
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
    let again = held.comes_again();
    let (run, effects): (Run, Vec<Effect>) = {
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
        let run = state.request().map_or(Run::FIRST, |request| request.run);
        (run, effects.collect())
    };
    if effects.iter().any(wants_document) {
        strike(commit);
    }
    let (letters, mut effects) = effects.into_iter().partition::<Vec<_>, _>(is_letter);
    // Every task that ended asks for more tasks of its group.
    effects.dedup();
    Box::pin(complete(context, commit.sequence, letters)).await?;
    let moment = Moment {
        held,
        run,
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

/// The sequence and time of a commit, and what was read before its effects were worked out: the run
/// of the request, and before that the timers' last sequence.
struct Moment<'a> {
    held: &'a Arc<deferred_timers::Commit>,
    run: Run,
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
            let wanted = dispatch::Wanted {
                group,
                sequence: moment.sequence,
                again: moment.held.delivery().comes_again(),
                now: |_| true,
            };
            if matches!(effect, Effect::Dispatch { .. }) {
                dispatch::group(context, request, wanted).await?;
            } else {
                Box::pin(dispatch::more(context, request, wanted)).await?;
            }
        }
        Effect::SetGroupTimer { group, deadline } => {
            let timer = Timer::Group(request, group, moment.run);
            want(context, moment, timer, Some(deadline)).await?;
        }
        Effect::SetRequestTimer { run } => {
            want(context, moment, Timer::Request(request, run), None).await?;
        }
        Effect::SetTaskTimer { group, task, delay } => {
            let task = TaskId {
                request,
                group,
                task,
            };
            let due = moment.at.checked_add(delay).unwrap_or(Timestamp::MAX);
            Box::pin(timers.set_task(task, moment.run, due)).await?;
            context.metrics.orchestrator.timers.set("task").inc();
        }
        Effect::ClearGroupTimer { group } => {
            let timer = Timer::Group(request, group, moment.run);
            if !context.held.let_go(timer).await {
                let group = (group, moment.run);
                Box::pin(timers.clear_group(request, group, moment.timers)).await?;
            }
        }
        Effect::ClearRequestTimer => {
            let timer = Timer::Request(request, moment.run);
            if !context.held.let_go(timer).await {
                Box::pin(timers.clear_request(request, moment.run, moment.timers)).await?;
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
    deadline: Option<Timestamp>,
) -> Result<(), Error> {
    let wanted = context.timer(timer, moment.at, deadline);
    if context.held.is_soon(wanted.due) {
        Box::pin(context.held.set_now(&context.timers, wanted)).await?;
    } else {
        context.held.hold(wanted, moment.held).await;
    }
    Ok(())
}
