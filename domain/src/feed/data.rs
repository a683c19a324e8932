use std::borrow::Borrow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::{self, Event, Failure, GroupOutline, Recorded, RequestId};

/// What an event says in public, by event. Documents and results are not in it: whoever wants
/// them reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // Each is its type.
pub enum Data {
    Received(Received),
    ResourcesCaptured(ResourcesCaptured),
    GroupStarted(GroupStarted),
    TaskSucceeded(TaskSucceeded),
    TaskFailed(TaskFailed),
    GroupTimedOut(GroupTimedOut),
    GroupCompleted(GroupCompleted),
    Succeeded(Succeeded),
    Failed(Failed),
    Cancelled(Cancelled),
    Redriven(Redriven),
    Forked(Forked),
}

/// A document was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The request.
    pub request_id: RequestId,
    /// The groups of the document, in order.
    pub groups: Vec<GroupOutline>,
    /// The `x-*` headers of the submission, names in lower case.
    pub metadata: BTreeMap<String, String>,
    /// Who submitted it.
    pub submitter: String,
}

/// What the document refers to was fetched and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesCaptured {
    /// The request.
    pub request_id: RequestId,
    /// Where it was fetched from, in the order of the fetches.
    pub uris: Vec<String>,
}

/// A group started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupStarted {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: u32,
    /// When it times out.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub deadline: Timestamp,
}

/// A task has its result. In the history of a request; not in the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSucceeded {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// The attempt that succeeded, from 1.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: String,
    /// When the attempt started.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// How long the attempt ran, in milliseconds.
    pub duration_ms: u64,
    /// The size of the result, in bytes.
    pub result_bytes: u64,
}

/// An attempt of a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailed {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// The attempt that failed.
    pub attempt: crate::request::Attempt,
    /// What follows.
    pub next: Next,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// It is tried again, not before this time.
    RetryAt(#[schemars(with = "String", extend("format" = "date-time"))] Timestamp),
    /// It is not tried again; the dead letter has its history.
    DeadLetter(String),
}

/// The time limit of a group passed before its tasks had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupTimedOut {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: u32,
}

/// Every task of a group has its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCompleted {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: u32,
}

/// The request is finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Succeeded {
    /// The request.
    pub request_id: RequestId,
    /// The size of the response document, in bytes.
    pub response_bytes: u64,
}

/// The request ended without a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The request.
    pub request_id: RequestId,
    /// Why.
    pub failure: Failure,
}

/// The request was stopped by somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// The request.
    pub request_id: RequestId,
    /// Who cancelled it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// The request runs again from the failed group, keeping the results it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redriven {
    /// The request.
    pub request_id: RequestId,
    /// Who redrove it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// The group that runs again, from 0; none where the request failed between groups.
    pub group: Option<u32>,
    /// The tasks that run again.
    pub tasks: Vec<u32>,
}

/// The request was made of another one, and takes over what that had by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forked {
    /// The request.
    pub request_id: RequestId,
    /// The request that was forked.
    pub from: RequestId,
    /// The sequence up to which its results are taken over.
    pub sequence: u64,
    /// Who forked it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

impl Data {
    /// The public form of an event.
    #[must_use]
    #[allow(clippy::too_many_lines)] // One arm for each event.
    pub fn of<E: Borrow<Event>>(recorded: &Recorded<E>) -> Self {
        let request_id = recorded.request;
        match recorded.event.borrow() {
            Event::Received(received) => Self::Received(Received {
                request_id,
                groups: received.groups.clone(),
                metadata: received.metadata.clone(),
                submitter: received.submitter.clone(),
            }),
            Event::ResourcesCaptured(captured) => Self::ResourcesCaptured(ResourcesCaptured {
                request_id,
                uris: captured.resources.iter().map(|r| r.uri.clone()).collect(),
            }),
            Event::GroupStarted(started) => Self::GroupStarted(GroupStarted {
                request_id,
                group: started.group,
                name: started.name.clone(),
                tasks: started.tasks,
                deadline: started.deadline,
            }),
            Event::TaskSucceeded(task) => Self::TaskSucceeded(TaskSucceeded {
                request_id,
                group: task.group,
                task: task.task,
                attempt: task.attempt,
                worker: task.worker.clone(),
                started_at: task.started_at,
                duration_ms: task.duration_ms,
                result_bytes: task.result.size(),
            }),
            Event::TaskFailed(task) => Self::TaskFailed(TaskFailed {
                request_id,
                group: task.group,
                task: task.task,
                attempt: task.attempt.clone(),
                next: match &task.next {
                    request::Next::RetryAt(at) | request::Next::DispatchAt(at) => {
                        Next::RetryAt(*at)
                    }
                    request::Next::DeadLetter(letter) => Next::DeadLetter(letter.clone()),
                },
            }),
            Event::GroupTimedOut { group } => Self::GroupTimedOut(GroupTimedOut {
                request_id,
                group: *group,
            }),
            Event::GroupCompleted { group } => Self::GroupCompleted(GroupCompleted {
                request_id,
                group: *group,
            }),
            Event::Succeeded(succeeded) => Self::Succeeded(Succeeded {
                request_id,
                response_bytes: succeeded.response.size(),
            }),
            Event::Failed(failed) => Self::Failed(Failed {
                request_id,
                failure: failed.failure.clone(),
            }),
            Event::Cancelled(cancelled) => Self::Cancelled(Cancelled {
                request_id,
                by: cancelled.by.clone(),
                reason: cancelled.reason.clone(),
            }),
            Event::Redriven(redriven) => Self::Redriven(Redriven {
                request_id,
                by: redriven.by.clone(),
                reason: redriven.reason.clone(),
                group: redriven.group,
                tasks: redriven.tasks.clone(),
            }),
            Event::Forked(forked) => Self::Forked(Forked {
                request_id,
                from: forked.from,
                sequence: forked.sequence,
                by: forked.by.clone(),
                reason: forked.reason.clone(),
            }),
        }
    }
}
