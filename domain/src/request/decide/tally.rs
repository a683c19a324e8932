use std::collections::HashMap;

use crate::request::{
    Attempt, Event, FailedTask, Failure, Group, Next, Outcome, TaskFailed, TaskState,
    TaskSucceeded, Verdict,
};

/// A group with the outcomes of one command counted in, without a copy of the group: its cost
/// is that of the outcomes.
pub(super) struct Tally<'a> {
    group: &'a Group,
    run: u32,
    touched: HashMap<u32, Touched>,
    succeeded: u32,
    failed: u32,
}

/// What this command has already said of a task.
#[derive(Default)]
struct Touched {
    ended: bool,
    attempts: Vec<u32>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(group: &'a Group, run: u32) -> Self {
        Self {
            group,
            run,
            touched: HashMap::new(),
            succeeded: group.succeeded,
            failed: group.failed,
        }
    }

    /// The event of an outcome; none where the task has ended, where this attempt is known, or
    /// where there is no such task. A result is a result whenever it comes, but a failure of an
    /// earlier run says nothing of this one.
    pub(super) fn take_in(&mut self, outcome: &Outcome) -> Option<Event> {
        if outcome.group != self.group.index {
            return None;
        }
        let TaskState::Pending {
            attempts: known, ..
        } = self.group.task(outcome.task)?
        else {
            return None;
        };
        let touched = self.touched.entry(outcome.task).or_default();
        if touched.ended {
            return None;
        }
        match &outcome.verdict {
            Verdict::Succeeded(result) => {
                touched.ended = true;
                self.succeeded += 1;
                Some(Event::TaskSucceeded(TaskSucceeded {
                    group: outcome.group,
                    task: outcome.task,
                    attempt: outcome.attempt,
                    worker: outcome.worker.clone(),
                    started_at: outcome.started_at,
                    duration_ms: outcome.duration_ms,
                    result: result.clone(),
                }))
            }
            Verdict::Failed { fault, next } => {
                let last = matches!(next, Next::DeadLetter(_));
                // An attempt that was not reported before a redrive may share its number with a
                // later one; dropped as known, the end of the task would be lost.
                let known = known.iter().any(|a| a.attempt == outcome.attempt)
                    || touched.attempts.contains(&outcome.attempt);
                if outcome.run < self.run || (known && !last) {
                    return None;
                }
                touched.attempts.push(outcome.attempt);
                if last {
                    touched.ended = true;
                    self.failed += 1;
                }
                Some(Event::TaskFailed(TaskFailed {
                    group: outcome.group,
                    task: outcome.task,
                    attempt: Attempt {
                        attempt: outcome.attempt,
                        worker: outcome.worker.clone(),
                        started_at: outcome.started_at,
                        duration_ms: outcome.duration_ms,
                        fault: fault.clone(),
                    },
                    next: next.clone(),
                }))
            }
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.succeeded + self.failed >= self.group.size()
    }

    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// The failure of the group by the tasks given up, with their attempts.
    pub(super) fn failure(&self, events: &[Event]) -> Failure {
        let mut tasks = self.without_result(events);
        tasks.retain(|task| task.dead_letter.is_some());
        let (index, size) = (self.group.index, self.group.tasks.len());
        Failure {
            code: "tasks-failed".into(),
            message: format!("{} of {size} tasks of group {index} failed", tasks.len()),
            group: Some(index),
            tasks,
            redrive_may_help: true,
        }
    }

    /// Every task without a result: what the state has, with the events of this command.
    pub(super) fn without_result(&self, events: &[Event]) -> Vec<FailedTask> {
        let mut tasks: Vec<FailedTask> = self.group.without_result();
        for event in events {
            match event {
                Event::TaskSucceeded(e) => tasks.retain(|task| task.task != e.task),
                Event::TaskFailed(e) => {
                    if let Some(task) = tasks.iter_mut().find(|task| task.task == e.task) {
                        let place = task
                            .attempts
                            .partition_point(|a| a.attempt < e.attempt.attempt);
                        task.attempts.insert(place, e.attempt.clone());
                        if let Next::DeadLetter(letter) = &e.next {
                            task.dead_letter = Some(letter.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        tasks
    }
}
