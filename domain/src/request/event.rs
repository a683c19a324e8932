use std::collections::BTreeMap;

use cqrs_es::DomainEvent;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, EventKind, Failure, Given, Next, Payload, RequestId, TraceParent};

/// A fact about a request, in the log, never changed. Its JSON form may only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A document was accepted.
    Received(Box<Received>),
    /// What the document refers to was fetched and kept.
    ResourcesCaptured(ResourcesCaptured),
    /// A group started.
    GroupStarted(GroupStarted),
    /// A task has its result.
    TaskSucceeded(TaskSucceeded),
    /// An attempt of a task failed.
    TaskFailed(TaskFailed),
    /// The time limit of a group passed before its tasks had ended.
    GroupTimedOut {
        /// The group, from 0.
        group: u32,
    },
    /// Every task of a group has its result.
    GroupCompleted {
        /// The group, from 0.
        group: u32,
    },
    /// The request is finished.
    Succeeded(Succeeded),
    /// The request ended without a response.
    Failed(Failed),
    /// The request was stopped by somebody.
    Cancelled(Cancelled),
    /// The request runs again from the failed group, keeping the results it has.
    Redriven(Redriven),
    /// The request began with what another one had: the events after this one, in the same
    /// commit, are taken over from it.
    Forked(Forked),
}

/// See [`Event::Received`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The document as it was submitted.
    pub document: Payload,
    /// SHA-256 of the canonical document, in lower-case hex.
    pub fingerprint: String,
    /// The groups of the document, in order.
    pub groups: Vec<GroupOutline>,
    /// The `x-*` headers of the submission, names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Where in a trace of the caller's it belongs.
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<TraceParent>,
    /// Who submitted it.
    pub submitter: String,
    /// The idempotency key it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What the document says of a group before anything is hydrated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupOutline {
    /// Its `name`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its valuations; each may become several tasks.
    pub valuations: u32,
}

/// One fetched resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Where it was fetched from.
    pub uri: String,
    /// SHA-256 of the bytes, in lower-case hex; none in logs from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The bytes, kept.
    pub content: Payload,
}

/// See [`Event::ResourcesCaptured`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcesCaptured {
    /// What was fetched, in the order of the fetches.
    pub resources: Vec<Resource>,
}

/// See [`Event::GroupStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStarted {
    /// The group, from 0.
    pub group: u32,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: u32,
    /// When it times out.
    pub deadline: Timestamp,
}

/// See [`Event::TaskSucceeded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSucceeded {
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// The attempt that succeeded, from 1.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: String,
    /// When the attempt started.
    pub started_at: Timestamp,
    /// How long the attempt ran, in milliseconds.
    pub duration_ms: u64,
    /// What the worker was given; none in logs from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// The result document.
    pub result: Payload,
}

/// See [`Event::TaskFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// The group, from 0.
    pub group: u32,
    /// The task, from 1.
    pub task: u32,
    /// The attempt that failed.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// What the worker was given; none in logs from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// What follows.
    pub next: Next,
}

/// See [`Event::Succeeded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succeeded {
    /// The response document.
    pub response: Payload,
}

/// See [`Event::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Why.
    pub failure: Failure,
}

/// See [`Event::Cancelled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Who cancelled it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// See [`Event::Redriven`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Who redrove it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// The run that begins, from 1: the number of redrives with this one.
    pub run: u32,
    /// The group that runs again, from 0; none where the request failed between groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// The tasks that run again: all of them, or the first 1,000.
    pub tasks: Vec<u32>,
    /// How many run again, where not all are told.
    #[serde(default, rename = "taskCount", skip_serializing_if = "Option::is_none")]
    pub task_count: Option<u32>,
    /// When the group now times out.
    pub deadline: Timestamp,
}

/// See [`Event::Forked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forked {
    /// The request that was forked.
    pub from: RequestId,
    /// The sequence up to which its results are taken over.
    pub sequence: u64,
    /// Who forked it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded<E> {
    /// The request it is about.
    pub request: RequestId,
    /// The sequence of its commit in the log.
    pub sequence: u64,
    /// Its place within the commit, from 0.
    pub index: u32,
    /// When the log took it in.
    pub at: Timestamp,
    /// Where in a trace of the caller's its request belongs.
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<TraceParent>,
    /// The event.
    pub event: E,
}

impl Event {
    /// The name of the event, the same in the log, the feed, HTTP and the CLI.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// What kind of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Received(_) => EventKind::Received,
            Self::ResourcesCaptured(_) => EventKind::ResourcesCaptured,
            Self::GroupStarted(_) => EventKind::GroupStarted,
            Self::TaskSucceeded(_) => EventKind::TaskSucceeded,
            Self::TaskFailed(_) => EventKind::TaskFailed,
            Self::GroupTimedOut { .. } => EventKind::GroupTimedOut,
            Self::GroupCompleted { .. } => EventKind::GroupCompleted,
            Self::Succeeded(_) => EventKind::Succeeded,
            Self::Failed(_) => EventKind::Failed,
            Self::Cancelled(_) => EventKind::Cancelled,
            Self::Redriven(_) => EventKind::Redriven,
            Self::Forked(_) => EventKind::Forked,
        }
    }

    /// Whether a request ends with it.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.kind().is_terminal()
    }

    /// The payloads that it refers to: an export without one of them could not be replayed.
    #[must_use]
    pub fn payloads(&self) -> Vec<&Payload> {
        match self {
            Self::Received(e) => vec![&e.document],
            Self::ResourcesCaptured(e) => e.resources.iter().map(|r| &r.content).collect(),
            Self::TaskSucceeded(e) => vec![&e.result],
            Self::Succeeded(e) => vec![&e.response],
            Self::GroupStarted(_)
            | Self::TaskFailed(_)
            | Self::GroupTimedOut { .. }
            | Self::GroupCompleted { .. }
            | Self::Failed(_)
            | Self::Cancelled(_)
            | Self::Redriven(_)
            | Self::Forked(_) => Vec::new(),
        }
    }
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
