use std::collections::BTreeMap;
use std::time::Duration;

use cqrs_es::DomainEvent;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Tenant;

use super::{
    Attempt, AttemptNumber, EventKind, Failure, Given, GroupIndex, Next, Payload, RequestId, Run,
    Sequence, TaskNumber, TraceParent, TraceState,
};

/// A fact about a request in the log. It never changes. Its JSON form may only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A document was accepted.
    Received(Box<Received>),
    /// The resources to which the document refers were fetched and kept.
    ResourcesCaptured(ResourcesCaptured),
    /// A group started.
    GroupStarted(GroupStarted),
    /// A task succeeded, with its result.
    TaskSucceeded(TaskSucceeded),
    /// An attempt of a task failed.
    TaskFailed(TaskFailed),
    /// The time limit of a group passed before its tasks had ended.
    GroupTimedOut {
        /// The group.
        group: GroupIndex,
    },
    /// All tasks of a group have their results.
    GroupCompleted {
        /// The group.
        group: GroupIndex,
    },
    /// The request is finished.
    Succeeded(Succeeded),
    /// The request ended without a response.
    Failed(Failed),
    /// Somebody stopped the request.
    Cancelled(Cancelled),
    /// The request runs again from the failed group, and keeps the results that it has.
    Redriven(Redriven),
    /// The request began with the results of another one. The later events in the same commit are
    /// taken over from that request.
    Forked(Forked),
}

/// The data of [`Event::Received`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The document as it was submitted.
    pub document: Payload,
    /// The SHA-256 of the canonical document, in lower-case hex.
    pub fingerprint: String,
    /// The groups of the document, in order.
    pub groups: Vec<GroupOutline>,
    /// The `x-*` headers of the submission, names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The traceparent of the caller, if the submission had one.
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<TraceParent>,
    /// The tracestate of the caller, which goes with the traceparent.
    #[serde(
        default,
        deserialize_with = "TraceState::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub tracestate: Option<TraceState>,
    /// The tenant to which the request belongs.
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// The caller who submitted the document.
    pub submitter: String,
    /// The idempotency key of the submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The header with the URL of the webhook. Its query may have a key of its receiver.
const CALLBACK: &str = "x-callback";

impl Received {
    /// The metadata that readers of the request are told: all but the URL of the webhook, which only
    /// its sender needs.
    pub fn told_metadata(&self) -> impl Iterator<Item = (&String, &String)> {
        let all = self.metadata.iter();
        all.filter(|(name, _)| name.as_str() != CALLBACK)
    }
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
    /// The URI of the resource.
    pub uri: String,
    /// The SHA-256 of the bytes, in lower-case hex; `None` in older logs, which did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The stored bytes.
    pub content: Payload,
}

/// The data of [`Event::ResourcesCaptured`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcesCaptured {
    /// The fetched resources, in the order of the fetches.
    pub resources: Vec<Resource>,
}

/// The data of [`Event::GroupStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStarted {
    /// The group.
    pub group: GroupIndex,
    /// The name of the group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: u32,
    /// When it times out.
    pub deadline: Timestamp,
}

/// The data of [`Event::TaskSucceeded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSucceeded {
    /// The group.
    pub group: GroupIndex,
    /// The task.
    pub task: TaskNumber,
    /// The attempt that succeeded.
    pub attempt: AttemptNumber,
    /// The worker that ran it.
    pub worker: String,
    /// When the attempt started.
    pub started_at: Timestamp,
    /// How long the attempt ran, in milliseconds.
    pub duration_ms: u64,
    /// The input of the worker; `None` in older logs, which did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// The result document.
    pub result: Payload,
}

/// The data of [`Event::TaskFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// The group.
    pub group: GroupIndex,
    /// The task.
    pub task: TaskNumber,
    /// The attempt that failed.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The input of the worker; `None` in older logs, which did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// The consequence.
    pub next: Next,
}

impl TaskFailed {
    /// How long the task waits before it is tried again. Both times come from the clock that wrote
    /// the report, so the delay is right where that clock is wrong.
    #[must_use]
    pub fn delay(&self) -> Duration {
        let (Next::RetryAt(due) | Next::DispatchAt(due)) = &self.next else {
            return Duration::ZERO;
        };
        let ran = Duration::from_millis(self.attempt.duration_ms);
        let waited = due.duration_since(self.attempt.started_at);
        let waited = Duration::try_from(waited).unwrap_or(Duration::ZERO);
        waited.saturating_sub(ran)
    }
}

/// The data of [`Event::Succeeded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succeeded {
    /// The response document.
    pub response: Payload,
}

/// The data of [`Event::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The failure.
    pub failure: Failure,
}

/// The data of [`Event::Cancelled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The caller who cancelled the request.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(
        default,
        rename = "onBehalfOf",
        skip_serializing_if = "Option::is_none"
    )]
    pub on_behalf_of: Option<String>,
    /// The reason, in that person's words.
    pub reason: String,
}

/// The data of [`Event::Redriven`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// The caller who redrove the request.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(
        default,
        rename = "onBehalfOf",
        skip_serializing_if = "Option::is_none"
    )]
    pub on_behalf_of: Option<String>,
    /// The reason, in that person's words.
    pub reason: String,
    /// The run that begins.
    pub run: Run,
    /// The group that runs again; `None` if the request failed between groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupIndex>,
    /// The tasks that run again: all of them, or the first 1,000.
    pub tasks: Vec<TaskNumber>,
    /// How many tasks run again, if the list does not have all of them.
    #[serde(default, rename = "taskCount", skip_serializing_if = "Option::is_none")]
    pub task_count: Option<u32>,
    /// The new time at which the group times out.
    pub deadline: Timestamp,
}

/// The data of [`Event::Forked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forked {
    /// The request that was forked.
    pub from: RequestId,
    /// The sequence up to which the new request takes over results.
    pub sequence: Sequence,
    /// The caller who forked the request.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(
        default,
        rename = "onBehalfOf",
        skip_serializing_if = "Option::is_none"
    )]
    pub on_behalf_of: Option<String>,
    /// The reason, in that person's words.
    pub reason: String,
}

/// An event with its position in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded<E> {
    /// The request of the event.
    pub request: RequestId,
    /// The sequence of its commit in the log.
    pub sequence: Sequence,
    /// The index within the commit, from 0.
    pub index: u32,
    /// When the log stored the event.
    pub at: Timestamp,
    /// The tenant of the request.
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// The traceparent of the caller, if the submission had one.
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

    /// The kind of the event.
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

    /// Returns whether the event ends the request.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.kind().is_terminal()
    }

    /// The payloads to which the event refers. An export must include them, or it could not be
    /// replayed.
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
