use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::Tenant;

use super::{
    Attempt, AttemptNumber, Failure, GroupIndex, GroupOutline, Payload, Report, Resource, Run,
    TaskNumber, TraceParent, TraceState, Verdict,
};

/// The state of a request, folded from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The request has no events.
    #[default]
    Absent,
    /// The request was received.
    Present(Box<Request>),
}

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The document as it was submitted.
    pub document: Payload,
    /// The SHA-256 of the canonical document, in lower-case hex.
    pub fingerprint: String,
    /// The groups of the document.
    pub groups: Vec<GroupOutline>,
    /// The tenant to which the request belongs.
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
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
    /// The fetched resources.
    pub resources: Vec<Resource>,
    /// The results of the completed groups, in task order.
    pub completed: Vec<Vec<Payload>>,
    /// The current run.
    #[serde(rename = "redrives")]
    pub run: Run,
    /// The number of events.
    pub revision: u64,
    /// The phase of the request.
    pub phase: Phase,
}

/// The phase of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No group runs, and the next step is not worked out yet.
    Planning,
    /// A group runs.
    Running(Group),
    /// The request is finished.
    Succeeded,
    /// The request ended without a response.
    Failed {
        /// The reason.
        failure: Failure,
        /// The group in which the request failed, with the results that it has.
        group: Option<Group>,
    },
    /// Somebody stopped the request.
    Cancelled {
        /// The group that ran.
        group: Option<Group>,
    },
}

/// The status of a request, as clients read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Accepted; no group has started.
    Received,
    /// A group has started.
    Running,
    /// Finished, with a response.
    Succeeded,
    /// Ended without a response.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Status {
    /// The status as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A group that has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The index of the group.
    pub index: GroupIndex,
    /// The tasks of the group; task `n` is at `n - 1`.
    pub tasks: Vec<TaskState>,
    /// How many tasks have a result.
    pub succeeded: u32,
    /// How many tasks were given up.
    pub failed: u32,
    /// When the group times out.
    pub deadline: Timestamp,
}

/// How many tasks of a group are dispatched at first. The limit keeps a large group from filling
/// the queue, in which other requests wait too.
pub const DISPATCHED_AT_ONCE: u32 = 1_024;
/// How many more tasks of a group are dispatched whenever this many have ended.
pub const DISPATCHED_AFTER: u32 = 256;

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// The task has not ended.
    Pending {
        /// The failed attempts so far, by number.
        attempts: Vec<Attempt>,
        /// The last attempt before the last redrive.
        earlier: AttemptNumber,
    },
    /// The task succeeded, with its result.
    Succeeded(Payload),
    /// The task was given up, with its failed attempts and its dead letter.
    Failed(Vec<Attempt>, String),
}

impl State {
    /// The number of events in the state.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.request().map_or(0, |request| request.revision)
    }

    /// The traceparent of the caller, if the submission had one.
    #[must_use]
    pub fn traceparent(&self) -> Option<&TraceParent> {
        self.request()?.traceparent.as_ref()
    }

    /// The tenant to which the request belongs; `default` if there is no request.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        self.request()
            .map_or_else(Tenant::default, |request| request.tenant.clone())
    }

    /// The request, if there is one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Absent => None,
            Self::Present(request) => Some(request),
        }
    }
}

impl Request {
    /// The status of the request.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Planning if self.completed.is_empty() => Status::Received,
            Phase::Planning | Phase::Running(_) => Status::Running,
            Phase::Succeeded => Status::Succeeded,
            Phase::Failed { .. } => Status::Failed,
            Phase::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// The group that runs, or that ran when the request ended.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match &self.phase {
            Phase::Running(group) => Some(group),
            Phase::Failed { group, .. } | Phase::Cancelled { group } => group.as_ref(),
            Phase::Planning | Phase::Succeeded => None,
        }
    }

    /// The group that runs.
    #[must_use]
    pub fn running(&self) -> Option<&Group> {
        match &self.phase {
            Phase::Running(group) => Some(group),
            _ => None,
        }
    }

    /// The results of the running group in task order, including those in the reports; `None` if no
    /// group runs.
    #[must_use]
    pub fn ending_results(&self, reports: &[Report]) -> Option<Vec<Payload>> {
        let group = self.running()?;
        let known = group.tasks.iter().map(|task| match task {
            TaskState::Succeeded(result) => Some(result),
            TaskState::Pending { .. } | TaskState::Failed(..) => None,
        });
        let mut results: Vec<Option<&Payload>> = known.collect();
        for report in reports {
            if let Report::Outcome(outcome) = report
                && let Verdict::Succeeded(result) = &outcome.verdict
                && outcome.group == group.index
                && let Some(index) = outcome.task.index()
                && let Some(slot) = results.get_mut(index)
            {
                slot.get_or_insert(result);
            }
        }
        Some(results.into_iter().flatten().cloned().collect())
    }
}

impl Group {
    /// The state of task `number`.
    #[must_use]
    pub fn task(&self, number: TaskNumber) -> Option<&TaskState> {
        self.tasks.get(number.index()?)
    }

    /// The number of tasks.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// The number of the last released task. At least one task up to it has not ended while any is
    /// open, and it grows as tasks end, so that no task is left out forever.
    #[must_use]
    pub fn released(&self) -> u32 {
        let ended = self.succeeded + self.failed;
        let released = ended / DISPATCHED_AFTER * DISPATCHED_AFTER;
        self.size().min(DISPATCHED_AT_ONCE.saturating_add(released))
    }

    /// The tasks with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (TaskNumber, &TaskState)> {
        TaskNumber::all().zip(&self.tasks)
    }

    /// The numbers of the tasks that have not ended.
    pub fn pending(&self) -> impl Iterator<Item = TaskNumber> {
        self.numbered()
            .filter(|(_, task)| matches!(task, TaskState::Pending { .. }))
            .map(|(number, _)| number)
    }

    /// The numbers of the tasks without a result.
    pub fn open(&self) -> impl Iterator<Item = TaskNumber> {
        self.numbered()
            .filter(|(_, task)| !matches!(task, TaskState::Succeeded(_)))
            .map(|(number, _)| number)
    }
}

impl TaskState {
    /// The last failed attempt. A new run continues to count from it.
    #[must_use]
    pub fn last_attempt(&self) -> AttemptNumber {
        match self {
            Self::Succeeded(_) => AttemptNumber::NONE,
            Self::Pending { attempts, .. } | Self::Failed(attempts, _) => {
                attempts.last().map_or(AttemptNumber::NONE, |a| a.attempt)
            }
        }
    }

    /// How many failed attempts of the current run are recorded. The limit on attempts is about
    /// these: a delivery that was given back, or that ended with its worker, has recorded nothing.
    #[must_use]
    pub fn failures(&self) -> u32 {
        let (Self::Pending { attempts, .. } | Self::Failed(attempts, _)) = self else {
            return 0;
        };
        let earlier = self.earlier_attempts();
        let of_this_run = attempts.partition_point(|attempt| attempt.attempt <= earlier);
        u32::try_from(attempts.len() - of_this_run).unwrap_or(u32::MAX)
    }

    /// Whether the log records an attempt with this number and start as failed.
    #[must_use]
    pub fn has_failed(&self, attempt: AttemptNumber, started_at: Timestamp) -> bool {
        let (Self::Pending { attempts, .. } | Self::Failed(attempts, _)) = self else {
            return false;
        };
        let same = |known: &Attempt| known.attempt == attempt && known.started_at == started_at;
        attempts.iter().any(same)
    }

    /// The last attempt of earlier runs. The limit on attempts holds for each run.
    #[must_use]
    pub fn earlier_attempts(&self) -> AttemptNumber {
        match self {
            Self::Pending { earlier, .. } => *earlier,
            Self::Succeeded(_) | Self::Failed(..) => AttemptNumber::NONE,
        }
    }
}
