use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AttemptNumber, GroupIndex, Payload, Run, TaskNumber};

/// What went wrong in an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// A stable code in kebab-case, such as `task-timed-out` or `exit-65`.
    pub code: String,
    /// What happened, in plain words.
    pub message: String,
    /// The chain of causes, the nearest first; an executor's stderr tail comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

/// A failed attempt as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The number of the attempt, from 1: the broker's delivery count.
    pub attempt: AttemptNumber,
    /// The worker that ran it.
    pub worker: String,
    /// When it started.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The consequence of a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// The task is tried again, not before this time. The work queue keeps it until then.
    RetryAt(Timestamp),
    /// The task is tried again, but the delay is too long for the work queue to keep it. The
    /// orchestrator dispatches it again at this time.
    DispatchAt(Timestamp),
    /// The task is not tried again. The dead letter has its history.
    DeadLetter(String),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The attempt succeeded, with this result.
    Succeeded(Payload),
    /// The attempt failed.
    Failed {
        /// The fault.
        fault: Fault,
        /// The consequence.
        next: Next,
    },
}

/// The input of a worker, recorded so that the log can prove it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// The type of the task, by the configuration at the time of dispatch.
    pub task_type: String,
    /// The SHA-256 of the task document, in lower-case hex; `None` if the worker could not read the
    /// document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A worker's report of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The group.
    pub group: GroupIndex,
    /// The task.
    pub task: TaskNumber,
    /// The run in which the attempt was dispatched, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// The worker that ran it.
    pub worker: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// The input of the worker; `None` from workers that do not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// Whether the worker has checked its result, so that the orchestrator need not check it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
    /// True if the worker gave the task up because its own count of attempts reached the limit. The
    /// worker counts deliveries, which may be too many. The orchestrator therefore counts the
    /// recorded failures, and sends the task again if attempts are left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exhausted: bool,
    /// How it ended.
    pub verdict: Verdict,
}

/// A report from a worker or a timer to the orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// An attempt ended.
    Outcome(Outcome),
    /// The time limit of a group has passed. The report may come late.
    GroupTimedOut {
        /// The group.
        group: GroupIndex,
        /// The deadline that passed: a timer of an earlier run names an earlier one.
        deadline: Timestamp,
    },
    /// The time limit of the whole request has passed. The report may come late.
    RequestTimedOut {
        /// The run that the timer limits.
        run: Run,
    },
    /// The delay of a failed attempt has passed, so the task must be dispatched again.
    TaskDue {
        /// The group.
        group: GroupIndex,
        /// The task.
        task: TaskNumber,
        /// The run whose attempt failed. A task of a later run does not wait for it. Older timers
        /// do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<Run>,
    },
}
