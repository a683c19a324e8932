use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, Failure, GroupOutline, Payload, Report, Resource, TraceParent, Verdict};

/// A request as its events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// There are no events.
    #[default]
    Absent,
    /// It was received.
    Present(Box<Request>),
}

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The document as it was submitted.
    pub document: Payload,
    /// SHA-256 of the canonical document.
    pub fingerprint: String,
    /// The groups of the document.
    pub groups: Vec<GroupOutline>,
    /// Where in a trace of the caller's it belongs.
    #[serde(
        default,
        deserialize_with = "TraceParent::or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<TraceParent>,
    /// What was fetched for it.
    pub resources: Vec<Resource>,
    /// The results of the completed groups, in task order.
    pub completed: Vec<Vec<Payload>>,
    /// How often it was redriven.
    pub redrives: u32,
    /// The number of its events.
    pub revision: u64,
    /// Where it stands.
    pub phase: Phase,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No group runs: the next step is to be worked out.
    Planning,
    /// A group runs.
    Running(Group),
    /// It is finished.
    Succeeded,
    /// It ended without a response.
    Failed {
        /// Why.
        failure: Failure,
        /// The group in which it failed, with the results it has.
        group: Option<Group>,
    },
    /// It was stopped.
    Cancelled {
        /// The group that ran.
        group: Option<Group>,
    },
}

/// The word for where a request stands, as clients read it.
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
    /// Stopped by somebody.
    Cancelled,
}

impl Status {
    /// The word itself.
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

    /// Whether nothing more will happen of itself.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A group that has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its index, from 0.
    pub index: u32,
    /// Its tasks; task `n` is at `n - 1`.
    pub tasks: Vec<TaskState>,
    /// How many have a result.
    pub succeeded: u32,
    /// How many were given up.
    pub failed: u32,
    /// When it times out.
    pub deadline: Timestamp,
}

/// The first tasks of a group that are dispatched at once: a large group does not fill the queue
/// that others wait in too.
pub const DISPATCHED_AT_ONCE: u32 = 1_024;
/// How many more tasks of a group are dispatched when as many have ended.
pub const DISPATCHED_AFTER: u32 = 256;

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Without an end.
    Pending {
        /// The failed attempts so far, by number.
        attempts: Vec<Attempt>,
        /// The number of the last attempt before the request was redriven, 0 without one.
        earlier: u32,
    },
    /// With its result.
    Succeeded(Payload),
    /// Given up, with its failed attempts and its dead letter.
    Failed(Vec<Attempt>, String),
}

impl State {
    /// The number of events that made it.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.request().map_or(0, |request| request.revision)
    }

    /// Where in a trace of the caller's the request belongs.
    #[must_use]
    pub fn traceparent(&self) -> Option<&TraceParent> {
        self.request()?.traceparent.as_ref()
    }

    /// The request, where there is one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Absent => None,
            Self::Present(request) => Some(request),
        }
    }
}

impl Request {
    /// The word for where it stands.
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

    /// The results of the running group in task order, with those that the reports bring; none
    /// where no group runs.
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
                && let Some(slot) = results.get_mut(outcome.task.wrapping_sub(1) as usize)
            {
                slot.get_or_insert(result);
            }
        }
        Some(results.into_iter().flatten().cloned().collect())
    }
}

impl Group {
    /// The state of task `number`, from 1.
    #[must_use]
    pub fn task(&self, number: u32) -> Option<&TaskState> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.tasks.get(index)
    }

    /// The number of its tasks.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// The number of the last task that is dispatched by now. At least one that has not ended is
    /// among the first so many, and it grows as tasks end: none is left out for good.
    #[must_use]
    pub fn released(&self) -> u32 {
        let ended = self.succeeded + self.failed;
        let released = ended / DISPATCHED_AFTER * DISPATCHED_AFTER;
        self.size().min(DISPATCHED_AT_ONCE.saturating_add(released))
    }

    /// The tasks by number, with their states.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &TaskState)> {
        (1..).zip(&self.tasks)
    }

    /// The numbers of the tasks that have not ended.
    pub fn pending(&self) -> impl Iterator<Item = u32> {
        self.numbered()
            .filter(|(_, task)| matches!(task, TaskState::Pending { .. }))
            .map(|(number, _)| number)
    }

    /// The numbers of the tasks without a result.
    pub fn open(&self) -> impl Iterator<Item = u32> {
        self.numbered()
            .filter(|(_, task)| !matches!(task, TaskState::Succeeded(_)))
            .map(|(number, _)| number)
    }
}

impl TaskState {
    /// The number of the last failed attempt, 0 without one: a new run counts on from it.
    #[must_use]
    pub fn last_attempt(&self) -> u32 {
        match self {
            Self::Succeeded(_) => 0,
            Self::Pending { attempts, .. } | Self::Failed(attempts, _) => {
                attempts.last().map_or(0, |a| a.attempt)
            }
        }
    }

    /// The number of the last attempt of earlier runs: the limit on attempts is for each run.
    #[must_use]
    pub fn earlier_attempts(&self) -> u32 {
        match self {
            Self::Pending { earlier, .. } => *earlier,
            Self::Succeeded(_) | Self::Failed(..) => 0,
        }
    }
}
