use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Attempt;

/// Why a request failed, with everything somebody needs to put it right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
