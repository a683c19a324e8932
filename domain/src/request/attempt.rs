use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Payload;

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
    pub attempt: u32,
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

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// It is tried again, not before this time; the work queue keeps it until then.
    RetryAt(Timestamp),
    /// It is tried again, and the delay is too long for the work queue to keep the task: at this
    /// time it is to be dispatched again.
    DispatchAt(Timestamp),
    /// It is not tried again; the dead letter has its history.
    DeadLetter(String),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// With this result.
    Succeeded(Payload),
    /// With a fault.
    Failed {
        /// What went wrong.
        fault: Fault,
        /// What follows.
        next: Next,
    },
}

/// What a worker was given to work on, so that the log can prove it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// The type of the task, by what was configured when it was sent.
    pub task_type: String,
    /// SHA-256 of the task document, in lower-case hex; none where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a worker says of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// The run it is of, where that is known: the number of redrives before it was dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// What the worker was given; none from workers that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// Whether the worker has looked at its result, so that nobody has to look again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
    /// How it ended.
    pub verdict: Verdict,
}

/// What a worker or a timer tells the orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// An attempt ended.
    Outcome(Outcome),
    /// The time limit of a group has passed; it may come late.
    GroupTimedOut {
        /// The group, from 0.
        group: u32,
        /// The deadline that passed: a timer of an earlier run names an earlier one.
        deadline: Timestamp,
    },
    /// The time limit of the whole request has passed; it may come late.
    RequestTimedOut {
        /// The run it limits: the number of redrives before it.
        run: u32,
    },
    /// The delay of a failed attempt has passed and the task is to be dispatched again.
    TaskDue {
        /// The group, from 0.
        group: u32,
        /// The task, from 1.
        task: u32,
    },
}
