use std::collections::BTreeMap;

use domain::request::{Event, Fault, Next, Payload, Recorded};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A task as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// Where it stands.
    pub status: TaskStatus,
    /// The attempts that ended, in the order of the log.
    pub attempts: Vec<AttemptView>,
    /// Its result.
    pub result: Option<Payload>,
    /// Its dead letter, while it is given up.
    pub dead_letter: Option<String>,
}

/// An attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong, where something did.
    pub fault: Option<Fault>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits, or runs.
    Pending,
    /// It has its result.
    Succeeded,
    /// It is given up.
    Failed,
    /// Its request ended without it.
    Stopped,
}

/// The tasks of a request's started groups, by group and number.
#[must_use]
pub fn tasks_of(events: impl IntoIterator<Item = Recorded<Event>>) -> Vec<TaskView> {
    let mut tasks = BTreeMap::new();
    for recorded in events {
        take_in(&mut tasks, &recorded.event);
    }
    tasks.into_values().collect()
}

type Tasks = BTreeMap<(u32, u32), TaskView>;

fn take_in(tasks: &mut Tasks, event: &Event) {
    match event {
        Event::GroupStarted(started) => {
            for task in 1..=started.tasks {
                tasks.insert((started.group, task), waiting(started.group, task));
            }
        }
        Event::TaskSucceeded(done) => {
            if let Some(task) = tasks.get_mut(&(done.group, done.task)) {
                task.status = TaskStatus::Succeeded;
                task.result = Some(done.result.clone());
                task.attempts.push(AttemptView {
                    attempt: done.attempt,
                    worker: done.worker.clone(),
                    started_at: done.started_at,
                    duration_ms: done.duration_ms,
                    fault: None,
                });
            }
        }
        Event::TaskFailed(failed) => {
            if let Some(task) = tasks.get_mut(&(failed.group, failed.task)) {
                if let Next::DeadLetter(letter) = &failed.next {
                    task.status = TaskStatus::Failed;
                    task.dead_letter = Some(letter.clone());
                }
                task.attempts.push(AttemptView {
                    attempt: failed.attempt.attempt,
                    worker: failed.attempt.worker.clone(),
                    started_at: failed.attempt.started_at,
                    duration_ms: failed.attempt.duration_ms,
                    fault: Some(failed.attempt.fault.clone()),
                });
            }
        }
        Event::Failed(_) | Event::Cancelled(_) => change(tasks, TaskStatus::Pending, |task| {
            task.status = TaskStatus::Stopped;
        }),
        Event::Redriven(_) => {
            for ended in [TaskStatus::Stopped, TaskStatus::Failed] {
                change(tasks, ended, |task| {
                    task.status = TaskStatus::Pending;
                    task.dead_letter = None;
                });
            }
        }
        _ => {}
    }
}

fn change(tasks: &mut Tasks, from: TaskStatus, change: impl Fn(&mut TaskView)) {
    tasks
        .values_mut()
        .filter(|task| task.status == from)
        .for_each(change);
}

fn waiting(group: u32, task: u32) -> TaskView {
    TaskView {
        group,
        task,
        status: TaskStatus::Pending,
        attempts: Vec::new(),
        result: None,
        dead_letter: None,
    }
}
