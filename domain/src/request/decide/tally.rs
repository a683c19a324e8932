use crate::FailureCode;
use std::collections::HashMap;

use crate::request::{
    Attempt, AttemptNumber, Event, FAILED_TASKS_MAX, FailedTask, Failure, Fault, Group, Next,
    Outcome, Payload, Run, TaskFailed, TaskNumber, TaskState, TaskSucceeded, Verdict,
};

/// A group that includes the outcomes of one command. It does not copy the group, so its cost
/// depends only on the number of outcomes.
pub(super) struct Tally<'a> {
    group: &'a Group,
    run: Run,
    touched: HashMap<TaskNumber, Touched>,
    succeeded: u32,
    failed: u32,
}

/// The changes that this command has made to a task.
#[derive(Default)]
struct Touched {
    succeeded: bool,
    /// The dead letter of the task, if the task was given up.
    letter: Option<String>,
    attempts: Vec<Attempt>,
}

/// The tasks of a group that a failure lists.
pub(super) struct Told {
    /// The first of the tasks.
    pub tasks: Vec<FailedTask>,
    /// The number of all tasks.
    pub count: usize,
}

impl<'a> Tally<'a> {
    pub(super) fn of(group: &'a Group, run: Run) -> Self {
        Self {
            group,
            run,
            touched: HashMap::new(),
            succeeded: group.succeeded,
            failed: group.failed,
        }
    }

    /// Adds an outcome. Returns its event, or `None` if the outcome is not new.
    pub(super) fn take_in(&mut self, outcome: &Outcome) -> Option<Event> {
        if outcome.group != self.group.index {
            return None;
        }
        let task = self.group.task(outcome.task)?;
        let touched = self.touched.entry(outcome.task).or_default();
        match &outcome.verdict {
            Verdict::Succeeded(result) => {
                if !touched.is_open(task) {
                    return None;
                }
                touched.succeeded = true;
                self.succeeded += 1;
                Some(succeeded(outcome, result))
            }
            Verdict::Failed { fault, next } => {
                let attempt = attempt(outcome, fault);
                let earlier_run = outcome.run.is_some_and(|run| run < self.run);
                if earlier_run && matches!(next, Next::DeadLetter(_)) {
                    // The attempt ended a run that is over, and its number may also occur in the
                    // current run.
                    return None;
                }
                if !touched.is_news(task, &attempt, next) {
                    return None;
                }
                touched.attempts.push(attempt.clone());
                if let Next::DeadLetter(letter) = next {
                    touched.letter = Some(letter.clone());
                    self.failed += 1;
                }
                Some(failed(outcome, attempt, next))
            }
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.succeeded + self.failed >= self.group.size()
    }

    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// The failure of the group: the tasks given up, with their attempts.
    pub(super) fn failure(&self) -> Failure {
        let (index, size) = (self.group.index, self.group.tasks.len());
        let told = self.told(|task, touched| {
            let given_up = matches!(task, TaskState::Failed(..));
            given_up || touched.is_some_and(|touched| touched.letter.is_some())
        });
        Failure {
            code: FailureCode::TasksFailed.into(),
            message: format!("{} of {size} tasks of group {index} failed", told.count),
            group: Some(index),
            redrive_may_help: true,
            ..told.into()
        }
    }

    /// The tasks without a result, from the state and the outcomes of this command.
    pub(super) fn without_result(&self) -> Told {
        self.told(|_, _| true)
    }

    fn told(&self, which: impl Fn(&TaskState, Option<&Touched>) -> bool) -> Told {
        let mut told = Told {
            tasks: Vec::new(),
            count: 0,
        };
        for (number, task) in self.group.numbered() {
            let touched = self.touched.get(&number);
            let (known, letter) = match task {
                TaskState::Succeeded(_) => continue,
                TaskState::Pending { attempts, .. } => (attempts, None),
                TaskState::Failed(attempts, letter) => (attempts, Some(letter)),
            };
            if touched.is_some_and(|touched| touched.succeeded) || !which(task, touched) {
                continue;
            }
            told.count += 1;
            if told.tasks.len() < FAILED_TASKS_MAX {
                let more = touched.map_or(&[][..], |touched| &touched.attempts);
                let letter = touched
                    .and_then(|touched| touched.letter.as_ref())
                    .or(letter);
                told.tasks.push(FailedTask {
                    task: number,
                    attempts: in_order(known, more),
                    dead_letter: letter.cloned(),
                });
            }
        }
        told
    }
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        let left_out = told.tasks.len() < told.count;
        Self {
            tasks: told.tasks,
            task_count: left_out.then(|| u32::try_from(told.count).unwrap_or(u32::MAX)),
            truncated: left_out,
            ..Self::default()
        }
    }
}

/// The attempts ordered by number, whatever order they were reported in.
fn in_order(known: &[Attempt], more: &[Attempt]) -> Vec<Attempt> {
    let mut attempts = known.to_vec();
    for attempt in more {
        let place = attempts.partition_point(|a| a.attempt < attempt.attempt);
        attempts.insert(place, attempt.clone());
    }
    attempts
}

impl Touched {
    /// Returns whether the task has not ended, by the state and by the outcomes of this command.
    fn is_open(&self, task: &TaskState) -> bool {
        matches!(task, TaskState::Pending { .. }) && !self.succeeded && self.letter.is_none()
    }

    /// Whether to record a failed attempt. A task without a result keeps the history of every
    /// attempt, in whatever order they are reported, but it is given up only once in a run. The
    /// number alone does not identify an attempt: when a message is sent again, its count restarts
    /// from the last attempt known at that time.
    fn is_news(&self, task: &TaskState, attempt: &Attempt, next: &Next) -> bool {
        let (known, earlier) = match task {
            TaskState::Succeeded(_) => return false,
            TaskState::Pending { attempts, earlier } => (attempts, *earlier),
            TaskState::Failed(attempts, _) => (attempts, AttemptNumber::NONE),
        };
        if self.succeeded || self.attempts.contains(attempt) || known.contains(attempt) {
            return false;
        }
        match next {
            Next::RetryAt(_) | Next::DispatchAt(_) => true,
            // An attempt from before a redrive ends nothing in the current run.
            Next::DeadLetter(_) => self.is_open(task) && attempt.attempt > earlier,
        }
    }
}

fn succeeded(outcome: &Outcome, result: &Payload) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: outcome.group,
        task: outcome.task,
        attempt: outcome.attempt,
        worker: outcome.worker.clone(),
        started_at: outcome.started_at,
        duration_ms: outcome.duration_ms,
        given: outcome.given.clone(),
        result: result.clone(),
    })
}

fn attempt(outcome: &Outcome, fault: &Fault) -> Attempt {
    Attempt {
        attempt: outcome.attempt,
        worker: outcome.worker.clone(),
        started_at: outcome.started_at,
        duration_ms: outcome.duration_ms,
        fault: fault.clone(),
    }
}

fn failed(outcome: &Outcome, attempt: Attempt, next: &Next) -> Event {
    Event::TaskFailed(TaskFailed {
        group: outcome.group,
        task: outcome.task,
        attempt,
        given: outcome.given.clone(),
        next: next.clone(),
    })
}
