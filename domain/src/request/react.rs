use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::retry::LONG_DELAY;
use super::{Event, Next, State, TaskFailed};

/// What the orchestrator does after an event. Each may be done twice without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Work out the next steps and commit them.
    Advance,
    /// Publish the tasks of this group that have not ended.
    Dispatch {
        /// The group, from 0.
        group: u32,
    },
    /// Have a group's time-out reported at its deadline.
    SetGroupTimer {
        /// The group, from 0.
        group: u32,
        /// When.
        deadline: Timestamp,
    },
    /// Have the request's time-out reported, its limit counted from this event on.
    SetRequestTimer {
        /// The run it limits.
        run: u32,
    },
    /// Have a task dispatched again: its delay is too long for the work queue to keep.
    SetTaskTimer {
        /// The group, from 0.
        group: u32,
        /// The task, from 1.
        task: u32,
        /// When.
        due: Timestamp,
    },
    /// The group's timer is not needed any more.
    ClearGroupTimer {
        /// The group, from 0.
        group: u32,
    },
    /// The request's timer is not needed any more.
    ClearRequestTimer,
    /// Take back the tasks that wait, and tell the workers that run some to stop.
    StopTasks,
}

/// What follows from an event, given the state with it and all that is known since: what has
/// been overtaken is not done any more.
#[must_use]
pub fn react(state: &State, event: &Event) -> Vec<Effect> {
    let Some(request) = state.request() else {
        return Vec::new();
    };
    let ended = request.status().is_terminal();
    match event {
        Event::Received(_) if !ended => {
            vec![Effect::SetRequestTimer { run: 0 }, Effect::Advance]
        }
        Event::Redriven(redriven) if !ended => {
            let mut effects = vec![Effect::SetRequestTimer {
                run: request.redrives,
            }];
            if let Some(group) = redriven.group {
                effects.extend(start(group, redriven.deadline));
            }
            effects.push(Effect::Advance);
            effects
        }
        Event::GroupStarted(started) => {
            let runs = request
                .running()
                .is_some_and(|group| group.index == started.group && started.tasks > 0);
            if runs {
                start(started.group, started.deadline).into()
            } else {
                Vec::new()
            }
        }
        Event::TaskFailed(failed) if !ended => long_delay(failed),
        Event::GroupCompleted { group } => vec![Effect::ClearGroupTimer { group: *group }],
        Event::Succeeded(_) => vec![Effect::ClearRequestTimer],
        Event::Failed(_) | Event::Cancelled(_) if ended => {
            let mut effects = vec![Effect::ClearRequestTimer];
            if let Some(group) = request.group() {
                effects.push(Effect::ClearGroupTimer { group: group.index });
                effects.push(Effect::StopTasks);
            }
            effects
        }
        _ => Vec::new(),
    }
}

fn long_delay(failed: &TaskFailed) -> Vec<Effect> {
    let Next::RetryAt(due) = failed.next else {
        return Vec::new();
    };
    let ran = Duration::from_millis(failed.attempt.duration_ms);
    let ended = failed.attempt.started_at.saturating_add(ran);
    let waits = ended.is_ok_and(|ended| {
        due.duration_since(ended)
            > SignedDuration::try_from(LONG_DELAY).unwrap_or(SignedDuration::MAX)
    });
    if waits {
        let (group, task) = (failed.group, failed.task);
        vec![Effect::SetTaskTimer { group, task, due }]
    } else {
        Vec::new()
    }
}

fn start(group: u32, deadline: Timestamp) -> [Effect; 2] {
    [
        Effect::SetGroupTimer { group, deadline },
        Effect::Dispatch { group },
    ]
}
