//! Queue recovery: looks at one open request, and puts back what the queues should hold for it and
//! do not. The look takes its turn among the commits of the request, so that it sees no work that is
//! half done.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use domain::request::{
    Event, GroupIndex, Need, Request, RequestId, Run, Sequence, TaskId, TaskNumber, delayed, needs,
};
use jiff::Timestamp;
use nats::{Commit, QueueContent};
use tokio::sync::mpsc;

use crate::contain::{self, End};
use crate::context::Context;
use crate::deferred_timers::Timer;
use crate::error::Error;
use crate::{advance, dispatch};

/// How many requests wait for the outbox at once, which leaves the outbox room for commits.
pub const AT_ONCE: usize = 32;

/// An open request of which the queues may have lost tasks or timers.
pub struct Lost {
    pub request: RequestId,
    /// The last known commit of the request.
    pub sequence: Sequence,
    /// Whether recovering this request may have ended a process before.
    pub again: bool,
    /// Whether that commit is acked, so that nobody works on its effects any longer.
    pub acked: bool,
    pub done: mpsc::Sender<(RequestId, Found)>,
}

/// What a look at a request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The queues hold everything, in this many messages.
    Whole(u32),
    /// Something was missing and was put back.
    PutBack,
    /// The request has ended, or the log no longer has it.
    Ended,
    /// The request has moved on to this commit, or reports wait, so that this look says nothing.
    Moving(Sequence),
    /// This build cannot read a commit of the request.
    Unreadable,
    /// The look must be repeated.
    Later,
}

impl Found {
    /// The word of the metrics for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole(_) => "whole",
            Self::PutBack => "put-back",
            Self::Ended => "ended",
            Self::Moving(_) => "moving",
            Self::Unreadable => "unreadable",
            Self::Later => "later",
        }
    }
}

impl Lost {
    /// Restores the request's tasks and timers, as far as they are missing.
    pub async fn put_back(self, context: &Arc<Context>) {
        let found = match contained(context, &self).await {
            Ok(found) => found,
            Err(Error::Unreadable(error)) => {
                tracing::debug!(request = %self.request, %error, "an open request cannot be read by this version");
                Found::Unreadable
            }
            Err(error) => {
                tracing::warn!(request = %self.request, %error, "cannot recover the tasks of a request yet");
                Found::Later
            }
        };
        // A receiver that is gone has begun another round.
        let _ = self.done.send((self.request, found)).await;
    }
}

async fn contained(context: &Arc<Context>, lost: &Lost) -> Result<Found, Error> {
    let mut found = None;
    let ended = {
        let work = pin!(async {
            found = Some(look(context, lost).await?);
            Ok(())
        });
        contain::lost(context, lost, work).await?
    };
    Ok(match ended {
        End::Done => found.unwrap_or(Found::Later),
        End::Failed(_) => Found::Ended,
        // Only its timeout can end it, so the look is repeated for the timers.
        End::PassedOver(_) => Found::Unreadable,
    })
}

/// What is missing of an open request.
struct Missing {
    run: Run,
    /// The running group, and its deadline as the log has it.
    group: Option<(GroupIndex, Timestamp)>,
    needs: Vec<Need>,
    /// Whether this instance holds a timer that is not yet set.
    held: bool,
}

async fn look(context: &Arc<Context>, lost: &Lost) -> Result<Found, Error> {
    let request = lost.request;
    // Read the queues before the log: an outcome that is in neither is then in the log.
    let queued = context.connection.queue_content(request).await?;
    let missing = {
        let loaded = context.load_current(request).await?;
        let Some(now) = loaded.state().request() else {
            return Ok(Found::Ended);
        };
        if now.status().is_terminal() {
            return Ok(Found::Ended);
        }
        if loaded.sequence() != lost.sequence {
            return Ok(Found::Moving(loaded.sequence()));
        }
        missing(context, lost, now, &queued)
    };
    if missing.needs.is_empty() {
        // A timer that this instance still holds is in no queue yet.
        let moving = queued.outcomes > 0 || missing.held;
        return Ok(if moving {
            Found::Moving(lost.sequence)
        } else {
            Found::Whole(queued.messages)
        });
    }
    put_back(context, lost, missing).await?;
    Ok(Found::PutBack)
}

fn missing(context: &Context, lost: &Lost, now: &Request, queued: &QueueContent) -> Missing {
    let (request, run) = (lost.request, now.run);
    let mut held = false;
    let mut is_held = |timer| {
        let is_held = context.held.is_held(timer);
        held |= is_held;
        is_held
    };
    let is_missing = |need: &Need| match *need {
        Need::RequestTimer => {
            let timer = Timer::Request(request, run);
            !queued.request_timers.contains(&run) && !is_held(timer)
        }
        Need::GroupTimer(group) => {
            let timer = Timer::Group(request, group, run);
            !queued.group_timers.contains(&(group, run)) && !is_held(timer)
        }
        // A message of waiting outcomes names only one of its tasks.
        Need::Task(group, task) => queued.outcomes == 0 && !queued.tasks.contains(&(group, task)),
        Need::NextStep => queued.outcomes == 0 && lost.acked,
    };
    let mut needs = needs(now);
    needs.retain(is_missing);
    Missing {
        run,
        group: now.running().map(|group| (group.index, group.deadline)),
        needs,
        held,
    }
}

async fn put_back(context: &Arc<Context>, lost: &Lost, missing: Missing) -> Result<(), Error> {
    let request = lost.request;
    let commits = context.log.read(request, Sequence::NONE).await;
    let commits = commits.map_err(Error::of_log)?;
    strike(&commits);
    let at = |is: &dyn Fn(&Event) -> bool| {
        let commit = commits.iter().rev().find(|c| c.events.iter().any(is));
        commit.map(|commit| commit.at)
    };
    let events = commits
        .iter()
        .flat_map(|c| c.events.iter().map(|e| (c.at, e)));
    let delayed = delayed(events);
    let mut now: HashSet<TaskNumber> = HashSet::new();
    let mut next_step = false;
    tracing::debug!(%request, missing = missing.needs.len(), first = ?missing.needs.first(), "the queues lack messages of a request: putting them back");
    for need in &missing.needs {
        match *need {
            Need::RequestTimer => {
                if let Some(at) = at(&|event| opens(event, missing.run)) {
                    let timer = Timer::Request(request, missing.run);
                    set(context, timer, at, None).await?;
                }
            }
            Need::GroupTimer(group) => {
                let started = |event: &Event| match (event, missing.group) {
                    (Event::GroupStarted(e), Some((_, deadline))) => e.deadline == deadline,
                    (Event::Redriven(e), Some((_, deadline))) => e.deadline == deadline,
                    _ => false,
                };
                if let (Some(at), Some((_, deadline))) = (at(&started), missing.group) {
                    let timer = Timer::Group(request, group, missing.run);
                    set(context, timer, at, Some(deadline)).await?;
                }
            }
            Need::Task(group, task) => match delayed.get(&(group, task)) {
                Some(due) => {
                    let id = TaskId {
                        request,
                        group,
                        task,
                    };
                    context.timers.set_task(id, missing.run, *due).await?;
                    context.metrics.orchestrator.timers.set("task").inc();
                }
                None => {
                    now.insert(task);
                }
            },
            Need::NextStep => next_step = true,
        }
    }
    if let (Some((group, _)), false) = (missing.group, now.is_empty()) {
        let wanted = dispatch::Wanted {
            group,
            sequence: lost.sequence,
            again: true,
            now: |task: TaskNumber| now.contains(&task),
        };
        let sent = Box::pin(dispatch::group(context, request, wanted)).await;
        context.or_abort(request, sent).await?;
    }
    if next_step {
        let advanced = Box::pin(advance::without_reports(context, request)).await;
        context.or_abort(request, advanced).await?;
    }
    Ok(())
}

/// Whether a run of the request begins with this event.
fn opens(event: &Event, run: Run) -> bool {
    match event {
        Event::Received(_) => run == Run::FIRST,
        Event::Redriven(redriven) => redriven.run == run,
        _ => false,
    }
}

async fn set(
    context: &Context,
    timer: Timer,
    at: Timestamp,
    deadline: Option<Timestamp>,
) -> Result<(), Error> {
    let wanted = context.timer(timer, at, deadline);
    context.held.set_now(&context.timers, wanted).await?;
    Ok(())
}

/// Strikes the poison that tests put into the document.
fn strike(commits: &[Commit]) {
    for event in commits.iter().flat_map(|commit| &commit.events) {
        if let Event::Received(received) = event
            && let Some(document) = received.document.inline()
        {
            runtime::strike("orchestrator", document.as_bytes());
        }
    }
}
