//! Verifies that every given-up task has its dead letter, and that every dead letter has its task.

use std::collections::HashMap;

use domain::request::{Event, Next, Sequence, TaskId};
use nats::Commit;

use super::{Problem, Report, readable};
use crate::Error;
use crate::live::Live;

/// The dead letters that the log names.
#[derive(Default)]
pub struct DeadLetters {
    /// The task and the commit that name a dead letter, by the id of the letter.
    named: HashMap<String, (TaskId, Sequence)>,
    all: bool,
}

impl DeadLetters {
    /// Tells the check that the run reads the whole log. A dead letter that the log does not name
    /// is then a finding.
    pub fn keep_all(&mut self) {
        self.all = true;
    }

    pub fn take_in(&mut self, commit: &Commit) {
        for event in &commit.events {
            if let Event::TaskFailed(e) = event
                && let Next::DeadLetter(id) = &e.next
            {
                let task = TaskId {
                    request: commit.request,
                    group: e.group,
                    task: e.task,
                };
                self.named.insert(id.clone(), (task, commit.sequence));
            }
        }
    }

    /// Compares the log with the stored dead letters.
    pub async fn compare(&self, live: &Live, all: bool, report: &mut Report) -> Result<(), Error> {
        if self.named.is_empty() && !all {
            return Ok(());
        }
        let kept = live.connection.dead_letter_ids().await?;
        report.dead_letters = self.named.len() as u64;
        let mut missing = self.named.iter().filter(|(id, _)| !kept.contains(*id));
        // Usually no letter is missing, so the log of discards is read only if one is.
        if let Some(first) = missing.next() {
            let discarded = live.connection.taken_letter_ids().await?;
            for (id, (task, sequence)) in std::iter::once(first).chain(missing) {
                if discarded.contains(id) {
                    report.note("dead letters that were discarded");
                } else {
                    report.problem(lost(id, *task, *sequence));
                }
            }
        }
        if !(all && self.all) {
            return Ok(());
        }
        for id in kept.iter().filter(|id| !self.named.contains_key(*id)) {
            let Some(task) = task_of(id) else {
                continue;
            };
            if !is_told(live, task, id).await? {
                report.problem(Problem {
                    request_id: Some(task.request),
                    kind: "dead-letter",
                    sequence: None,
                    key: None,
                    message: format!(
                        "task {task} has the dead letter {id}, and was not given up with it"
                    ),
                });
            }
        }
        Ok(())
    }
}

fn lost(id: &str, task: TaskId, sequence: Sequence) -> Problem {
    Problem {
        request_id: Some(task.request),
        kind: "dead-letter",
        sequence: Some(sequence),
        key: None,
        message: format!(
            "task {task} was given up, and its dead letter {id} is missing: no discard of it is \
             on record, so it was lost"
        ),
    }
}

/// The task of a dead letter; `None` for a message that could not be read.
fn task_of(id: &str) -> Option<TaskId> {
    let mut tokens = id.split('.');
    Some(TaskId {
        request: tokens.next()?.parse().ok()?,
        group: tokens.next()?.parse().ok()?,
        task: tokens.next()?.parse().ok()?,
    })
}

/// Whether the log names the dead letter by now, or never will. The worker stores a dead letter
/// before the log records it, and the letter outlives the log. The log may omit a late outcome of a
/// request that has ended.
async fn is_told(live: &Live, task: TaskId, id: &str) -> Result<bool, Error> {
    // The reports are read first: the orchestrator acks a report only after the log has its
    // outcome.
    let reported = live.connection.reports_of(task.request).await?;
    // An unreadable log is a finding of its own.
    let Ok(commits) = readable(live.log.read(task.request, Sequence::NONE).await)? else {
        return Ok(true);
    };
    let mut events = commits.iter().flat_map(|commit| &commit.events);
    let told = events.any(|event| {
        matches!(event, Event::TaskFailed(e)
            if matches!(&e.next, Next::DeadLetter(told) if told == id))
    });
    let waits = reported
        .iter()
        .any(|subject| subject.starts_with("reports."));
    // A late outcome may come after the end.
    let ended = commits.is_empty() || commits.iter().any(Commit::is_terminal);
    Ok(told || waits || ended)
}
