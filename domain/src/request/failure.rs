use serde::{Deserialize, Serialize};

use super::Attempt;

/// A failure's tasks are told in full up to this many bytes: one commit has to fit into one
/// message. Beyond it a task keeps its last attempt without causes, and beyond twice as much only
/// its number and its dead letter, which has everything.
pub const FAILURE_MAX_BYTES: usize = 192 * 1024;
/// What an attempt takes beside its texts.
const ATTEMPT_BYTES: usize = 200;
/// The most of a message that is kept beyond the limit.
const SHORT_MESSAGE_BYTES: usize = 200;

/// Why a request failed, with everything somebody needs to put it right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A stable code in kebab-case, such as `tasks-failed` or `hydration-no-match`.
    pub code: String,
    /// What happened, in plain words.
    pub message: String,
    /// The group in which it happened, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Every task that has no result, with its failed attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<FailedTask>,
    /// Whether a redrive may help without a change of the document.
    pub redrive_may_help: bool,
}

/// A task without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedTask {
    /// The task, from 1.
    pub task: u32,
    /// Its failed attempts, by number.
    pub attempts: Vec<Attempt>,
    /// The dead letter that keeps its history, where it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

impl Failure {
    /// The same failure, told so that it fits into a commit.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        let mut told = 0;
        for task in &mut self.tasks {
            if told > FAILURE_MAX_BYTES {
                task.shorten();
            }
            if told > 2 * FAILURE_MAX_BYTES {
                task.attempts.clear();
            }
            told += task.attempts.iter().map(size).sum::<usize>();
        }
        self
    }

    /// Like failures have like fingerprints: the code, and the code of each task's last
    /// attempt, each once; no ids, times or counts.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut codes: Vec<&str> = self
            .tasks
            .iter()
            .filter_map(|task| task.attempts.last())
            .map(|attempt| attempt.fault.code.as_str())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        let mut parts = vec![self.code.as_str()];
        parts.extend(codes);
        parts.join("+")
    }
}

impl FailedTask {
    fn shorten(&mut self) {
        if let Some(mut last) = self.attempts.pop() {
            last.fault.causes.clear();
            let end = last.fault.message.floor_char_boundary(SHORT_MESSAGE_BYTES);
            last.fault.message.truncate(end);
            self.attempts = vec![last];
        }
    }
}

fn size(attempt: &Attempt) -> usize {
    let causes: usize = attempt.fault.causes.iter().map(String::len).sum();
    ATTEMPT_BYTES + attempt.worker.len() + attempt.fault.message.len() + causes
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::Fault;
    use super::*;

    fn failure(tasks: u32, bytes: usize) -> Failure {
        let attempt = |attempt| Attempt {
            attempt,
            worker: "w".into(),
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: 1,
            fault: Fault {
                code: "exit-1".into(),
                message: "m".repeat(300),
                causes: vec!["c".repeat(bytes)],
            },
        };
        let task = |task| FailedTask {
            task,
            attempts: (1..=3).map(attempt).collect(),
            dead_letter: Some(format!("0199e0a1-2b3c-7d4e-8f50-617283940516.0.{task}.0")),
        };
        Failure {
            code: "tasks-failed".into(),
            message: "they did".into(),
            group: Some(0),
            tasks: (1..=tasks).map(task).collect(),
            redrive_may_help: true,
        }
    }

    #[test]
    fn a_failure_of_a_few_tasks_is_told_in_full() {
        assert_eq!(failure(37, 500).bounded(), failure(37, 500));
    }

    #[test]
    fn a_failure_of_very_many_tasks_names_each_and_still_fits_into_a_commit() {
        let bounded = failure(10_000, 4096).bounded();
        assert_eq!(bounded.tasks.len(), 10_000);
        assert_eq!(bounded.tasks[0].attempts.len(), 3);
        let short = &bounded.tasks[100].attempts[0];
        assert_eq!((short.attempt, short.fault.causes.len()), (3, 0));
        assert!(bounded.tasks[9_999].attempts.is_empty());
        assert!(bounded.tasks[9_999].dead_letter.is_some());
        let told: usize = bounded
            .tasks
            .iter()
            .flat_map(|t| &t.attempts)
            .map(size)
            .sum();
        assert!(told < 3 * FAILURE_MAX_BYTES, "{told}");
    }
}
