//! The location of each task of the running group.

use std::collections::BTreeMap;

use domain::request::{Event, Group, Next, TaskNumber, TaskState};
use jiff::Timestamp;

use super::evidence::Broker;
use super::{Explanation, Statement};
use crate::story::Story;

impl Broker {
    /// States where each task without an outcome is.
    pub fn of_tasks(&self, group: &Group, story: &Story, now: Timestamp, why: &mut Explanation) {
        let due = next_attempts(story, group);
        let is_delayed = |task: TaskNumber| due.get(&task).is_some_and(|at| *at > now);
        let delayed = due.values().filter(|at| **at > now).count() as u64;
        if let Some(first) = due.values().filter(|at| **at > now).min() {
            let (tasks, first) = (delayed, *first);
            why.say(Statement::Delayed { tasks, first });
        }
        let here = |held: bool| {
            let queued = self.queued.iter().filter(|q| q.task.group == group.index);
            queued
                .filter(|q| self.is_held(q) == held && !is_delayed(q.task.task))
                .count() as u64
        };
        let (held, waiting) = (here(true), here(false));
        if held > 0 {
            why.say(Statement::WithWorkers(held));
        }
        if waiting > 0 {
            why.say(Statement::Waiting(waiting));
        }
        for (name, position) in &self.workers {
            let idle = position
                .as_ref()
                .is_some_and(|p| p.waiting_pulls == 0 && p.pending > 0);
            if idle {
                why.say(Statement::NoWorkerAsks(name.clone()));
            }
        }
        let known = held + waiting + delayed;
        let pending = group.pending().count() as u64;
        let mut reports = self.waiting_reports.iter();
        if known >= pending {
            return;
        }
        why.say(if reports.any(|subject| subject.starts_with("reports.")) {
            Statement::OutcomesReported
        } else {
            Statement::Missing {
                tasks: pending - known,
                deadline: group.deadline,
            }
        });
    }
}

/// The times of the next attempts of the tasks that failed last.
fn next_attempts(story: &Story, group: &Group) -> BTreeMap<TaskNumber, Timestamp> {
    let mut due = BTreeMap::new();
    for recorded in story.events() {
        if let Event::TaskFailed(e) = &recorded.event
            && e.group == group.index
            && let Next::RetryAt(at) | Next::DispatchAt(at) = e.next
            && matches!(group.task(e.task), Some(TaskState::Pending { .. }))
        {
            due.insert(e.task, at);
        }
    }
    due
}
