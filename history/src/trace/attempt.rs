//! An attempt of a task, as far as its span needs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::request::{AttemptNumber, Given, Next, TaskFailed, TaskNumber, TaskSucceeded};
use jiff::{SignedDuration, Timestamp};

use super::millis;

/// The task type of attempts that do not record one.
const UNKNOWN: &str = "unknown";

/// Texts that many attempts share, each of them once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.0.insert(name.clone());
        name
    }
}

/// An attempt as its event has it.
pub(super) struct Ended<'a> {
    pub task: TaskNumber,
    attempt: AttemptNumber,
    worker: &'a str,
    started_at: Timestamp,
    duration_ms: u64,
    given: Option<&'a Given>,
    failed: Option<(&'a str, bool)>,
}

impl<'a> Ended<'a> {
    pub fn succeeded(event: &'a TaskSucceeded) -> Self {
        Self {
            task: event.task,
            attempt: event.attempt,
            worker: &event.worker,
            started_at: event.started_at,
            duration_ms: event.duration_ms,
            given: event.given.as_ref(),
            failed: None,
        }
    }

    pub fn failed(event: &'a TaskFailed) -> Self {
        let attempt = &event.attempt;
        let is_last = matches!(event.next, Next::DeadLetter(_));
        Self {
            task: event.task,
            attempt: attempt.attempt,
            worker: &attempt.worker,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            given: event.given.as_ref(),
            failed: Some((&attempt.fault.code, is_last)),
        }
    }
}

/// An attempt that ended.
pub(super) struct Attempt {
    pub task: TaskNumber,
    pub number: AttemptNumber,
    pub worker: Arc<str>,
    pub task_type: Arc<str>,
    pub from: Timestamp,
    pub to: Timestamp,
    /// How long the task waited for this attempt, in milliseconds.
    pub queued_ms: u64,
    pub failed: Option<FailedAttempt>,
}

/// How an attempt failed.
pub(super) struct FailedAttempt {
    pub code: Arc<str>,
    /// Whether the task was given up.
    pub is_last: bool,
}

impl Attempt {
    /// The attempt of a group that began at `group`, of a task that was ready at `ready`. The broker
    /// stored its commit at `stored`. The clock of a worker may be wrong, but an attempt ended
    /// before its commit was stored, and began after its group did.
    pub fn of(
        ended: &Ended<'_>,
        group: Timestamp,
        ready: Timestamp,
        stored: Timestamp,
        names: &mut Names,
    ) -> Self {
        let ran = i64::try_from(ended.duration_ms).unwrap_or(i64::MAX);
        let to = ended
            .started_at
            .checked_add(SignedDuration::from_millis(ran));
        let to = to.unwrap_or(stored).min(stored).max(group);
        let from = ended.started_at.max(group).min(to);
        let task_type = ended.given.map_or(UNKNOWN, |given| &given.task_type);
        Self {
            task: ended.task,
            number: ended.attempt,
            worker: names.shared(ended.worker),
            task_type: names.shared(task_type),
            from,
            to,
            queued_ms: millis(ready, from),
            failed: ended.failed.map(|(code, is_last)| FailedAttempt {
                code: names.shared(code),
                is_last,
            }),
        }
    }

    /// How long it ran, in milliseconds.
    pub fn ran_ms(&self) -> u64 {
        millis(self.from, self.to)
    }
}
