use std::collections::BTreeMap;

use domain::request::{Failure, Payload, RequestId, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The request.
    pub request_id: RequestId,
    /// Where it stands.
    pub status: Status,
    /// The last commit that changed it.
    pub seq: u64,
    /// The number of groups of the document.
    pub group_count: u32,
    /// The group that started last, from 0.
    pub current_group: Option<u32>,
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
    /// Whether it was redriven, for who folds it: Redis does not have it.
    #[serde(default)]
    pub redriven: bool,
    /// The groups.
    pub groups: Vec<GroupView>,
    /// Why it failed.
    pub failure: Option<FailureView>,
    /// The response.
    pub response: Option<Payload>,
    /// The `x-*` headers of the submission.
    pub metadata: BTreeMap<String, String>,
    /// The idempotency key of the submission.
    pub idempotency_key: Option<String>,
}

/// A group as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The number of its tasks; before it has started, of its valuations.
    pub expected: u32,
    /// The tasks that have their result.
    pub completed: u32,
    /// The tasks that are given up.
    pub failed: u32,
    /// Where it stands.
    pub status: GroupStatus,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The last commit that changed it.
    pub seq: u64,
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupStatus {
    /// A group before it has not ended.
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
    /// The word itself.
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

/// Why a request failed, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// The commit that says so.
    pub seq: u64,
    /// When it failed.
    pub failed_at: Timestamp,
    /// Like failures have like fingerprints.
    pub fingerprint: String,
    /// The failure.
    #[serde(flatten)]
    pub failure: Failure,
}
