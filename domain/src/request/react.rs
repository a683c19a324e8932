use std::time::Duration;

use jiff::Timestamp;

use super::state::DISPATCHED_AT_ONCE;
use super::{
    Attempt, Event, GroupIndex, Next, Phase, Redriven, Request, Run, State, TaskFailed, TaskNumber,
    TaskState,
};

/// An action of the orchestrator after an event. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Work out the next steps and commit them.
    Advance,
    /// Publish the released tasks of this group that have not ended.
    Dispatch {
        /// The group.
        group: GroupIndex,
    },
    /// Publish the tasks of this group that have been released since the last dispatch.
    DispatchMore {
        /// The group.
        group: GroupIndex,
    },
    /// Set a timer that reports the group's timeout. Its limit counts from the commit.
    SetGroupTimer {
        /// The group.
        group: GroupIndex,
        /// When the group times out.
        deadline: Timestamp,
    },
    /// Set a timer that reports the request's timeout. Its limit counts from this event on.
    SetRequestTimer {
        /// The run that the timer limits.
        run: Run,
    },
    /// Set a timer that dispatches a task again, because its delay is too long for the work queue
    /// to keep.
    SetTaskTimer {
        /// The group.
        group: GroupIndex,
        /// The task.
        task: TaskNumber,
        /// How long the task waits, from the time at which the log stored the failure.
        delay: Duration,
    },
    /// Write the whole history of the task into its dead letter. The worker knew only the last
    /// attempt.
    CompleteDeadLetter {
        /// The dead letter.
        letter: String,
        /// The failed attempts, by number.
        attempts: Vec<Attempt>,
    },
    /// Remove the group's timer.
    ClearGroupTimer {
        /// The group.
        group: GroupIndex,
    },
    /// Remove the request's timer.
    ClearRequestTimer,
    /// Withdraw the waiting tasks, and tell the workers to stop the running ones.
    StopTasks,
}

/// The effects of an event, given the state that includes it and everything known since. It leaves
/// out effects that later events have made obsolete.
#[must_use]
pub fn react(state: &State, event: &Event) -> Vec<Effect> {
    let Some(request) = state.request() else {
        return Vec::new();
    };
    let ended = request.status().is_terminal();
    match event {
        // A timer of an earlier run would replace the timer of this run.
        Event::Received(_) if !ended && request.run == Run::FIRST => begin(request, Run::FIRST),
        Event::Redriven(redriven) if !ended && request.run == redriven.run => {
            redriven_now(request, redriven)
        }
        Event::GroupStarted(started) => start(request, started.group, started.deadline),
        Event::TaskSucceeded(succeeded) => more(request, succeeded.group),
        Event::TaskFailed(failed) => task_failed(request, failed),
        Event::GroupCompleted { group } if had_tasks(request, *group) => {
            vec![Effect::ClearGroupTimer { group: *group }]
        }
        Event::Succeeded(_) => vec![Effect::ClearRequestTimer],
        Event::Failed(_) | Event::Cancelled(_) if ended => {
            let mut effects = vec![Effect::ClearRequestTimer];
            if let Some(group) = request.group().filter(|group| !group.tasks.is_empty()) {
                effects.push(Effect::ClearGroupTimer { group: group.index });
                effects.push(Effect::StopTasks);
            }
            effects
        }
        _ => Vec::new(),
    }
}

/// Whether a completed group had a timer. All groups have one, except those without tasks. A
/// completed group has as many results as tasks.
fn had_tasks(request: &Request, group: GroupIndex) -> bool {
    let results = request.completed.get(group.index());
    results.is_none_or(|results| !results.is_empty())
}

fn begin(request: &Request, run: Run) -> Vec<Effect> {
    let mut effects = vec![Effect::SetRequestTimer { run }];
    if matches!(request.phase, Phase::Planning) {
        effects.push(Effect::Advance);
    }
    effects
}

fn redriven_now(request: &Request, redriven: &Redriven) -> Vec<Effect> {
    let mut effects = begin(request, redriven.run);
    let Some(group) = redriven.group else {
        return effects;
    };
    let group = start(request, group, redriven.deadline);
    if !group.is_empty() {
        effects.extend(group);
        // Results that came after the end may have left the group with nothing to wait for.
        effects.push(Effect::Advance);
    }
    effects
}

/// Returns whether this is the last known failure of a task that will be tried again.
fn waits(request: &Request, failed: &TaskFailed) -> bool {
    let task = request
        .running()
        .filter(|group| group.index == failed.group)
        .and_then(|group| group.task(failed.task));
    task.is_some_and(|task| {
        matches!(task, TaskState::Pending { .. }) && task.last_attempt() == failed.attempt.attempt
    })
}

fn task_failed(request: &Request, failed: &TaskFailed) -> Vec<Effect> {
    match &failed.next {
        Next::DispatchAt(_) if waits(request, failed) => vec![Effect::SetTaskTimer {
            group: failed.group,
            task: failed.task,
            delay: failed.delay(),
        }],
        Next::RetryAt(_) | Next::DispatchAt(_) => Vec::new(),
        Next::DeadLetter(letter) => {
            let mut effects = vec![Effect::CompleteDeadLetter {
                letter: letter.clone(),
                attempts: history(request, failed),
            }];
            effects.extend(more(request, failed.group));
            effects
        }
    }
}

/// The effects of a task's end on the tasks of its group that wait for dispatch.
fn more(request: &Request, group: GroupIndex) -> Vec<Effect> {
    let waits = request
        .running()
        .is_some_and(|running| running.index == group && running.released() > DISPATCHED_AT_ONCE);
    if waits {
        vec![Effect::DispatchMore { group }]
    } else {
        Vec::new()
    }
}

/// The failed attempts of the task, up to this one.
fn history(request: &Request, failed: &TaskFailed) -> Vec<Attempt> {
    let group = request.group().filter(|group| group.index == failed.group);
    match group.and_then(|group| group.task(failed.task)) {
        Some(TaskState::Failed(attempts, _) | TaskState::Pending { attempts, .. }) => attempts
            .iter()
            .filter(|attempt| attempt.attempt <= failed.attempt.attempt)
            .cloned()
            .collect(),
        Some(TaskState::Succeeded(_)) | None => vec![failed.attempt.clone()],
    }
}

/// The effects for a group that runs with this deadline. With another deadline, a redrive has
/// restarted the group and set its timer. A group without tasks has nothing to wait for, and no
/// timer.
fn start(request: &Request, group: GroupIndex, deadline: Timestamp) -> Vec<Effect> {
    let runs = request
        .running()
        .filter(|running| running.index == group && running.deadline == deadline);
    let Some(running) = runs else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    if !running.tasks.is_empty() {
        effects.push(Effect::SetGroupTimer { group, deadline });
    }
    effects.push(Effect::Dispatch { group });
    effects
}
