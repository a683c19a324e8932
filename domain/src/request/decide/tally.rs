use std::collections::HashMap;

use crate::request::{
    Attempt, Event, FailedTask, Failure, Fault, Group, Next, Outcome, Payload, TaskFailed,
    TaskState, TaskSucceeded, Verdict,
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
    succeeded: bool,
    given_up: bool,
    attempts: Vec<Attempt>,
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

    /// The event of an outcome; none where it says nothing new.
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
                    // It ended a run that has ended; its number may be one of this run too.
                    return None;
                }
                if !touched.is_news(task, &attempt, next) {
                    return None;
                }
                touched.attempts.push(attempt.clone());
                if matches!(next, Next::DeadLetter(_)) {
                    touched.given_up = true;
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

impl Touched {
    /// Whether the task has not ended, by the state and by what this command has said.
    fn is_open(&self, task: &TaskState) -> bool {
        matches!(task, TaskState::Pending { .. }) && !self.succeeded && !self.given_up
    }

    /// Whether a failed attempt is to be recorded. A task without a result keeps the history of
    /// every attempt, in whatever order they are reported, but it is given up once in a run.
    /// The number alone does not tell an attempt: a message that is sent again counts anew from
    /// what was known then.
    fn is_news(&self, task: &TaskState, attempt: &Attempt, next: &Next) -> bool {
        let (known, earlier) = match task {
            TaskState::Succeeded(_) => return false,
            TaskState::Pending { attempts, earlier } => (attempts, *earlier),
            TaskState::Failed(attempts, _) => (attempts, 0),
        };
        if self.succeeded || self.attempts.contains(attempt) || known.contains(attempt) {
            return false;
        }
        match next {
            Next::RetryAt(_) | Next::DispatchAt(_) => true,
            // One of before a redrive ends nothing of the run that is under way.
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
