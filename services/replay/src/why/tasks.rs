//! Where each task of the group that runs is, as the broker has it.

use domain::request::{Event, Group, Next, TaskState};
use jiff::Timestamp;

use super::answer::Answer;
use super::evidence::Evidence;
use crate::output::{between, clock, count};
use crate::story::Story;

impl Evidence {
    /// Where each task without an outcome is.
    pub fn of_tasks(&self, group: &Group, story: &Story, answer: &mut Answer) {
        let now = Timestamp::now();
        let due = next_attempts(story, group);
        let delayed: Vec<Timestamp> = due
            .iter()
            .map(|(_, at)| *at)
            .filter(|at| *at > now)
            .collect();
        let is_delayed = |task| due.iter().any(|(t, at)| *t == task && *at > now);
        let here = |held: bool| {
            let queued = self.queued.iter().filter(|q| q.task.group == group.index);
            queued
                .filter(|q| self.is_held(q) == held && !is_delayed(q.task.task))
                .count() as u64
        };
        let (held, waiting) = (here(true), here(false));
        if let Some(first) = delayed.iter().min() {
            answer.say(format!(
                "{} failed and {} delayed, the first until {}, in {}.",
                count(delayed.len() as u64, "task"),
                if delayed.len() == 1 { "is" } else { "are" },
                clock(*first),
                between(now, *first)
            ));
        }
        if held > 0 {
            answer.say(format!("{} with a worker now.", is_are(held)));
        }
        if waiting > 0 {
            answer.say(format!("{} for a worker.", waits(waiting)));
        }
        for (name, position) in &self.workers {
            if position
                .as_ref()
                .is_some_and(|p| p.waiting_pulls == 0 && p.pending > 0)
            {
                answer.say(format!("No worker of type {name} asks for tasks now."));
            }
        }
        let known = held + waiting + delayed.len() as u64;
        let pending = group.pending().count() as u64;
        let reported = self
            .waiting_reports
            .iter()
            .any(|s| s.starts_with("reports."));
        if known < pending && reported {
            answer.say("Outcomes are reported and wait for the orchestrator to take them in.");
        } else if known < pending {
            let lost = pending - known;
            answer.say(format!(
                "{} neither in the work queue nor reported: not dispatched yet, or lost; the \
                 group's timeout is at {}.",
                is_are(lost),
                clock(group.deadline)
            ));
        }
    }
}

/// When the tasks that failed last are tried again.
fn next_attempts(story: &Story, group: &Group) -> Vec<(u32, Timestamp)> {
    let mut due = std::collections::BTreeMap::new();
    for recorded in story.events() {
        if let Event::TaskFailed(e) = &recorded.event
            && e.group == group.index
            && let Next::RetryAt(at) | Next::DispatchAt(at) = e.next
            && matches!(group.task(e.task), Some(TaskState::Pending { .. }))
        {
            due.insert(e.task, at);
        }
    }
    due.into_iter().collect()
}

fn is_are(tasks: u64) -> String {
    match tasks {
        1 => "1 task is".into(),
        tasks => format!("{tasks} tasks are"),
    }
}

fn waits(tasks: u64) -> String {
    match tasks {
        1 => "1 task waits".into(),
        tasks => format!("{tasks} tasks wait"),
    }
}
