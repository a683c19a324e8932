use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::{
    AttemptNumber, Failure, GroupIndex, GroupOutline, RequestId, Sequence, TaskNumber,
};

/// The public data of an event, by event. It leaves out documents and results, which a reader can
/// fetch.
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
    /// The groups of the document, in order: all of them, or the first 100. Of a long name it has
    /// the beginning.
    pub groups: Vec<GroupOutline>,
    /// How many groups there are, where not all are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_count: Option<u32>,
    /// The `x-*` headers of the submission, names in lower case; those that fit.
    pub metadata: BTreeMap<String, String>,
    /// Who submitted it.
    pub submitter: String,
    /// Whether something was left out, or cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What the document refers to was fetched and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesCaptured {
    /// The request.
    pub request_id: RequestId,
    /// Where it was fetched from, in the order of the fetches: all of it, or the first 100.
    pub uris: Vec<String>,
    /// How many were fetched, where not all are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_count: Option<u32>,
    /// Whether something was left out, or cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A group started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupStarted {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: GroupIndex,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: u32,
    /// When it times out.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub deadline: Timestamp,
    /// Whether something was left out, or cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A task has its result. In the history of a request; not in the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSucceeded {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: GroupIndex,
    /// The task, from 1.
    pub task: TaskNumber,
    /// The attempt that succeeded, from 1.
    pub attempt: AttemptNumber,
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
    pub group: GroupIndex,
    /// The task, from 1.
    pub task: TaskNumber,
    /// The attempt that failed.
    pub attempt: crate::request::Attempt,
    /// What follows.
    pub next: Next,
    /// Whether something was left out, or cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
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
    pub group: GroupIndex,
}

/// Every task of a group has its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCompleted {
    /// The request.
    pub request_id: RequestId,
    /// The group, from 0.
    pub group: GroupIndex,
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
    /// The person for whom that caller says it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
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
    /// The person for whom that caller says it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Why, in that person's words.
    pub reason: String,
    /// The group that runs again, from 0; none where the request failed between groups.
    pub group: Option<GroupIndex>,
    /// The tasks that run again: all of them, or the first 1,000.
    pub tasks: Vec<TaskNumber>,
    /// How many run again, where not all are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_count: Option<u32>,
    /// Whether something was left out, or cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
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
    pub sequence: Sequence,
    /// Who forked it.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Why, in that person's words.
    pub reason: String,
}
