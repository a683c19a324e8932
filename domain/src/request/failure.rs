use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{CODE_MAX_BYTES, NAME_MAX_BYTES, TEXT_MAX_BYTES, cut, json_bytes};
use super::{Attempt, GroupIndex, TaskNumber};

/// The maximum number of tasks that a failure lists. It also has the total number.
pub const FAILED_TASKS_MAX: usize = 1_000;
/// A failure describes its tasks in full up to this many bytes, because one commit must fit into
/// one message together with its reports. Beyond this, a task keeps only its last attempt, without
/// causes. Beyond one and a half times this, it keeps only its number and its dead letter, which
/// has everything.
pub const FAILURE_MAX_BYTES: usize = 192 * 1024;
/// Beyond this many bytes a task loses its last attempt too.
const SHORTENED_MAX_BYTES: usize = FAILURE_MAX_BYTES + FAILURE_MAX_BYTES / 2;
/// The maximum size of the names of all dead letters, in bytes.
const LETTERS_MAX_BYTES: usize = 96 * 1024;
/// The size of an attempt without its texts, in bytes.
const ATTEMPT_BYTES: usize = 200;
/// How much of a message a shortened attempt keeps, in bytes.
const SHORT_MESSAGE_BYTES: usize = 200;

/// Why a request failed, with everything somebody needs to put it right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A stable code in kebab-case, such as `tasks-failed` or `hydration-no-match`.
    pub code: String,
    /// What happened, in plain words.
    pub message: String,
    /// The group in which it happened, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupIndex>,
    /// The tasks that have no result, with their failed attempts: all of them, or the first 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<FailedTask>,
    /// How many tasks have no result, where not all are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_count: Option<u32>,
    /// Whether something was left out of this, or cut; the dead letters have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whether a redrive may help without a change of the document.
    pub redrive_may_help: bool,
}

/// A task without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedTask {
    /// The task, from 1.
    pub task: TaskNumber,
    /// Its failed attempts, by number.
    pub attempts: Vec<Attempt>,
    /// The dead letter that keeps its history, where it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

impl Failure {
    /// The same failure, cut so that it fits into a commit.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        let mut cut_off = cut(&mut self.code, CODE_MAX_BYTES);
        cut_off |= cut(&mut self.message, TEXT_MAX_BYTES);
        if self.tasks.len() > FAILED_TASKS_MAX {
            let count = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
            self.task_count.get_or_insert(count);
            self.tasks.truncate(FAILED_TASKS_MAX);
            cut_off = true;
        }
        let (mut told, mut letters) = (0, 0);
        for task in &mut self.tasks {
            cut_off |= task.bound(told);
            told += task.size();
            letters += task.dead_letter.as_deref().map_or(0, json_bytes);
            if letters > LETTERS_MAX_BYTES {
                task.dead_letter = None;
                cut_off = true;
            }
        }
        self.truncated |= cut_off;
        self
    }

    /// The fingerprint of the failure: similar failures have the same one. It consists of the code,
    /// and of the code of each task's last attempt, each once. It has no ids, times or counts.
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
    /// Cuts the parts that exceed their limits, given the number of bytes of the tasks before this
    /// one. Returns whether something was cut off.
    fn bound(&mut self, told: usize) -> bool {
        let letter = self.dead_letter.as_mut();
        let mut cut_off = letter.is_some_and(|letter| cut(letter, NAME_MAX_BYTES));
        for attempt in &mut self.attempts {
            cut_off |= attempt.bound();
        }
        if told + self.size() > FAILURE_MAX_BYTES {
            self.shorten();
            cut_off = true;
        }
        if told + self.size() > SHORTENED_MAX_BYTES {
            self.attempts.clear();
        }
        cut_off
    }

    fn shorten(&mut self) {
        if let Some(mut last) = self.attempts.pop() {
            last.fault.causes.clear();
            cut(&mut last.fault.message, SHORT_MESSAGE_BYTES);
            self.attempts = vec![last];
        }
    }

    fn size(&self) -> usize {
        self.attempts.iter().map(size).sum()
    }
}

/// The approximate size of an attempt in JSON, in bytes.
fn size(attempt: &Attempt) -> usize {
    let fault = &attempt.fault;
    let causes: usize = fault.causes.iter().map(|cause| json_bytes(cause)).sum();
    let said = [&attempt.worker, &fault.code, &fault.message];
    ATTEMPT_BYTES + said.map(|text| json_bytes(text)).iter().sum::<usize>() + causes
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{AttemptNumber, Fault};
    use super::*;

    fn failure(tasks: u32, bytes: usize) -> Failure {
        let attempt = |attempt| Attempt {
            attempt: AttemptNumber::new(attempt),
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
            task: TaskNumber::new(task),
            attempts: (1..=3).map(attempt).collect(),
            dead_letter: Some(format!("0199e0a1-2b3c-7d4e-8f50-617283940516.0.{task}.0")),
        };
        Failure {
            code: "tasks-failed".into(),
            message: "they did".into(),
            group: Some(GroupIndex::FIRST),
            tasks: (1..=tasks).map(task).collect(),
            redrive_may_help: true,
            ..Failure::default()
        }
    }

    #[test]
    fn a_failure_of_a_few_tasks_names_every_attempt() {
        assert_eq!(failure(37, 500).bounded(), failure(37, 500));
        let json = serde_json::to_string(&failure(37, 500)).unwrap();
        assert!(!json.contains("taskCount") && !json.contains("truncated"));
    }

    #[test]
    fn a_failure_of_very_many_tasks_counts_all_and_still_fits_into_a_commit() {
        let bounded = failure(2_000, 4096).bounded();
        assert_eq!(bounded.tasks.len(), FAILED_TASKS_MAX);
        assert_eq!((bounded.task_count, bounded.truncated), (Some(2_000), true));
        assert_eq!(bounded.tasks[0].attempts.len(), 3);
        let short = &bounded.tasks[100].attempts[0];
        assert_eq!((short.attempt.get(), short.fault.causes.len()), (3, 0));
        assert!(bounded.tasks[999].attempts.is_empty());
        assert!(bounded.tasks[999].dead_letter.is_some());
        let json = serde_json::to_vec(&bounded).unwrap().len();
        assert!(
            json < SHORTENED_MAX_BYTES + LETTERS_MAX_BYTES + 64 * 1024,
            "{json}"
        );
        assert_eq!(bounded.clone().bounded(), bounded, "once is enough");
    }

    #[test]
    fn a_failure_of_a_thousand_tasks_names_each_and_one_more_is_counted() {
        let named = failure(1_000, 10).bounded();
        assert_eq!((named.tasks.len(), named.task_count), (1_000, None));
        let counted = failure(1_001, 10).bounded();
        assert_eq!(
            (counted.tasks.len(), counted.task_count),
            (1_000, Some(1_001))
        );
    }

    #[test]
    fn one_task_of_very_many_attempts_is_shown_with_its_last_attempts() {
        let mut failure = failure(1, 4096);
        let attempt = failure.tasks[0].attempts[0].clone();
        failure.tasks[0].attempts = vec![attempt; 10_000];
        let bounded = failure.bounded();
        assert_eq!(bounded.tasks[0].attempts.len(), 1);
        assert!(bounded.truncated);
    }
}
