//! A group in a run of the request.

use std::collections::HashMap;
use std::time::Duration;

use domain::request::{GroupIndex, TaskNumber};
use jiff::Timestamp;

use super::attempt::{Attempt, Ended, Names};

/// The code of a group whose time limit passed.
const TIMED_OUT: &str = "group-timed-out";
/// The code of a group with tasks that were given up.
const TASKS_FAILED: &str = "tasks-failed";

/// A group in a run.
pub(super) struct Group {
    pub index: GroupIndex,
    pub name: Option<String>,
    /// The tasks that the run has to do.
    pub tasks: u32,
    pub from: Timestamp,
    pub to: Option<Timestamp>,
    pub succeeded: u32,
    pub given_up: u32,
    pub retried: u32,
    /// The results that a fork took over from another request.
    pub taken_over: u32,
    pub has_timed_out: bool,
    pub attempts: Vec<Attempt>,
    /// From when on a task that failed was to be tried again.
    ready: HashMap<TaskNumber, Timestamp>,
}

impl Group {
    pub fn new(index: GroupIndex, name: Option<String>, tasks: u32, from: Timestamp) -> Self {
        Self {
            index,
            name,
            tasks,
            from,
            to: None,
            succeeded: 0,
            given_up: 0,
            retried: 0,
            taken_over: 0,
            has_timed_out: false,
            attempts: Vec::new(),
            ready: HashMap::new(),
        }
    }

    /// Takes in an attempt whose commit was stored at `stored`. If it failed, the task is tried again
    /// after `delay`.
    pub fn take(
        &mut self,
        ended: &Ended<'_>,
        delay: Duration,
        stored: Timestamp,
        names: &mut Names,
    ) {
        let ready = self.ready.remove(&ended.task).unwrap_or(self.from);
        let attempt = Attempt::of(ended, self.from, ready, stored, names);
        match &attempt.failed {
            None => self.succeeded += 1,
            Some(failed) if failed.is_last => self.given_up += 1,
            Some(_) => {
                self.retried += 1;
                let ready = stored.checked_add(delay).unwrap_or(stored);
                self.ready.insert(ended.task, ready);
            }
        }
        self.attempts.push(attempt);
    }

    /// What is called the group, for people.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("group {name}"),
            None => format!("group {}", self.index),
        }
    }

    /// The code of its failure, if it failed.
    pub fn error(&self) -> Option<&'static str> {
        if self.has_timed_out {
            Some(TIMED_OUT)
        } else {
            (self.given_up > 0).then_some(TASKS_FAILED)
        }
    }

    /// The median, the 95th percentile and the most of a figure of the attempts.
    pub fn quantiles(&self, figure: impl Fn(&Attempt) -> u64) -> Option<[u64; 3]> {
        let mut figures: Vec<u64> = self.attempts.iter().map(figure).collect();
        figures.sort_unstable();
        let last = figures.len().checked_sub(1)?;
        Some([50, 95, 100].map(|percent| figures[last * percent / 100]))
    }
}
