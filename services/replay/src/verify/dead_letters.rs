//! Whether every task that was given up has its dead letter, and every dead letter its task.

use std::collections::{HashMap, HashSet};

use domain::request::{Event, Next, TaskId};
use nats::Commit;

use super::{Problem, Report};
use crate::Error;
use crate::log::Live;

/// The dead letters that the log names.
#[derive(Default)]
pub struct DeadLetters {
    named: HashMap<(TaskId, u32), u64>,
    all: bool,
}

impl DeadLetters {
    /// The whole log is read: a dead letter that it does not name is a finding.
    pub fn keep_all(&mut self) {
        self.all = true;
    }

    pub fn take_in(&mut self, commit: &Commit) {
        for event in &commit.events {
            if let Event::TaskFailed(e) = event
                && let Next::DeadLetter(id) = &e.next
                && let Some((_, run)) = id.rsplit_once('.')
                && let Ok(run) = run.parse()
            {
                let task = TaskId {
                    request: commit.request,
                    group: e.group,
                    task: e.task,
                };
                self.named.insert((task, run), commit.sequence);
            }
        }
    }

    /// Compares with what is kept.
    pub async fn compare(&self, live: &Live, all: bool, report: &mut Report) -> Result<(), Error> {
        if self.named.is_empty() && !all {
            return Ok(());
        }
        let kept: HashSet<(TaskId, u32)> =
            live.connection.dead_lettered().await?.into_iter().collect();
        report.dead_letters = self.named.len() as u64;
        for ((task, run), sequence) in &self.named {
            if !kept.contains(&(*task, *run)) {
                report.problem(Problem {
                    request_id: Some(task.request),
                    kind: "dead-letter",
                    sequence: Some(*sequence),
                    key: None,
                    message: format!(
                        "task {task} was given up in run {run}, and has no dead letter: it was \
                         discarded, or lost"
                    ),
                });
            }
        }
        if !(all && self.all) {
            return Ok(());
        }
        for (task, run) in kept {
            if !self.named.contains_key(&(task, run)) && !is_told(live, task, run).await? {
                report.problem(Problem {
                    request_id: Some(task.request),
                    kind: "dead-letter",
                    sequence: None,
                    key: None,
                    message: format!(
                        "task {task} has a dead letter of run {run}, and was not given up in it"
                    ),
                });
            }
        }
        Ok(())
    }
}

/// Whether the log names it by now, or never will: a dead letter is kept before the log says so,
/// and for longer, and a late outcome of a request that has ended may be left out.
async fn is_told(live: &Live, task: TaskId, run: u32) -> Result<bool, Error> {
    let commits = live.log.read(task.request, 0).await?;
    let mut events = commits.iter().flat_map(|commit| &commit.events);
    let own = format!("{task}.{run}");
    let told = events.any(|event| {
        matches!(event, Event::TaskFailed(e) if matches!(&e.next, Next::DeadLetter(id) if *id == own))
    });
    let reported = live.connection.reports_of(task.request).await?;
    let waits = reported
        .iter()
        .any(|subject| subject.starts_with("reports."));
    let ended = commits.last().is_none_or(Commit::is_terminal);
    Ok(told || waits || ended)
}
