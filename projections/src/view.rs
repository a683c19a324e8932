use std::collections::BTreeMap;

use domain::access::Tenant;
use domain::request::{Failure, GroupIndex, Payload, RequestId, Sequence, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request, as readers see it. Its JSON is in `view_json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The request.
    pub request_id: RequestId,
    /// The status of the request, with what its end brought.
    pub status: RequestStatus,
    /// The sequence of the last commit that changed it.
    pub seq: Sequence,
    /// The number of groups of the document.
    pub group_count: u32,
    /// The group that started last.
    pub current_group: Option<GroupIndex>,
    /// When it was received.
    pub received_at: Timestamp,
    /// When its first group started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The attempts that ended, of all tasks.
    pub attempts: u64,
    /// The tasks that are given up now.
    pub failed_tasks: u64,
    /// Whether it was redriven, for a process that folds the view. Redis does not store this field.
    pub redriven: bool,
    /// The groups.
    pub groups: Vec<GroupView>,
    /// The `x-*` headers of the submission.
    pub metadata: BTreeMap<String, String>,
    /// The tenant to which it belongs.
    pub tenant: Tenant,
    /// The caller who submitted it; `None` for a caller whom nobody told apart.
    pub submitter: Option<String>,
    /// The idempotency key of the submission.
    pub idempotency_key: Option<String>,
}

impl View {
    /// A view of which nothing is known but the request and when it was received.
    pub(crate) fn new(request_id: RequestId, seq: Sequence, received_at: Timestamp) -> Self {
        Self {
            request_id,
            status: RequestStatus::Received,
            seq,
            group_count: 0,
            current_group: None,
            received_at,
            started_at: None,
            completed_at: None,
            attempts: 0,
            failed_tasks: 0,
            redriven: false,
            groups: Vec::new(),
            metadata: BTreeMap::new(),
            tenant: Tenant::default(),
            submitter: None,
            idempotency_key: None,
        }
    }

    /// Why it failed, where it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&FailureView> {
        match &self.status {
            RequestStatus::Failed { failure } => Some(failure),
            _ => None,
        }
    }

    /// The response, where it succeeded.
    #[must_use]
    pub fn response(&self) -> Option<&Payload> {
        match &self.status {
            RequestStatus::Succeeded { response } => Some(response),
            _ => None,
        }
    }
}

/// The status of a request, with what its end brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    /// Accepted; no group has started.
    Received,
    /// A group has started.
    Running,
    /// It has its response.
    Succeeded {
        /// The response.
        response: Payload,
    },
    /// It ended without a response.
    Failed {
        /// Why it failed.
        failure: FailureView,
    },
    /// Somebody stopped it.
    Cancelled,
}

impl RequestStatus {
    /// The status alone.
    #[must_use]
    pub const fn plain(&self) -> Status {
        match self {
            Self::Received => Status::Received,
            Self::Running => Status::Running,
            Self::Succeeded { .. } => Status::Succeeded,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }

    /// The status as a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.plain().as_str()
    }

    /// Returns whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.plain().is_terminal()
    }

    /// Why it failed, where it failed.
    #[must_use]
    pub fn into_failure(self) -> Option<FailureView> {
        match self {
            Self::Failed { failure } => Some(failure),
            _ => None,
        }
    }
}

/// A group, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The number of its tasks. Before the group has started, it is the number of its valuations.
    pub expected: u32,
    /// The tasks that have their result.
    pub completed: u32,
    /// The tasks that are given up.
    pub failed: u32,
    /// The status of the group.
    pub status: GroupStatus,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The sequence of the last commit that changed it.
    pub seq: Sequence,
}

/// The status of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupStatus {
    /// An earlier group has not ended.
    Waiting,
    /// Its tasks run.
    Running,
    /// Every task has its result.
    Completed,
    /// The request failed in it.
    Failed,
    /// The request was stopped in it.
    Cancelled,
}

impl GroupStatus {
    /// The status as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The failure of a request, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// The sequence of the commit in which the request failed.
    pub seq: Sequence,
    /// When it failed.
    pub failed_at: Timestamp,
    /// The fingerprint. Similar failures have the same one.
    pub fingerprint: String,
    /// The failure.
    #[serde(flatten)]
    pub failure: Failure,
}
