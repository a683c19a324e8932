use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use super::{Event, Failure, Fork, GroupIndex, Payload, Received, Report, Resource, Run};

/// A command to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Accept this document.
    Submit(Box<Received>),
    /// Accept this document, and start its first group, which needs nothing but the document.
    Begin(Box<Received>, FirstGroup),
    /// Accept a document, and take over the results of another request.
    Fork(Box<Fork>),
    /// Keep the fetched resources.
    CaptureResources(Vec<Resource>),
    /// Process the reports of workers and timers, and go as far as the steps allow.
    Advance(Advance),
    /// End the request, because its task documents cannot be made.
    Abort(Failure),
    /// Stop the request.
    Cancel {
        /// The caller who cancels the request.
        by: String,
        /// The person for whom that caller says it acts.
        on_behalf_of: Option<String>,
        /// Why.
        reason: String,
    },
    /// Run the failed tasks again.
    Redrive {
        /// The caller who redrives the request.
        by: String,
        /// The person for whom that caller says it acts.
        on_behalf_of: Option<String>,
        /// Why.
        reason: String,
        /// The time of the decision.
        now: Timestamp,
        /// The rules for the run.
        rules: Rules,
        /// The run that the caller means; none for whichever is the last. A caller that repeats the
        /// command after a crash does not begin a second run.
        only: Option<Run>,
    },
}

/// The data of [`Command::Advance`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// The reports of workers and timers, in the order in which they arrived.
    pub reports: Vec<Report>,
    /// The steps after the current group. `None` if the caller does not expect the group to end.
    pub steps: Option<Steps>,
    /// The time of the decision.
    pub now: Timestamp,
    /// The rules for the request.
    pub rules: Rules,
}

/// The operator's settings for all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a group may take.
    pub group_timeout: Duration,
    /// Whether the request ends when the first task is given up, rather than when the last task
    /// ends.
    pub fail_fast: bool,
}

/// The start of the first group, with the submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstGroup {
    /// The name of the group, if it has one.
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: NonZeroU32,
    /// The time of the decision.
    pub now: Timestamp,
    /// The rules for the request.
    pub rules: Rules,
}

/// The steps that follow from the document and the results: groups without tasks, which are
/// complete at once, and one step after them. `R` is the form of the response: a payload in a
/// command, and bytes before they are placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps<R = Payload> {
    /// The index of the first group of the steps. If the request has moved on since the caller
    /// worked out the steps, they are not the next ones.
    pub from: GroupIndex,
    /// The names of the groups without tasks.
    pub empty: Vec<Option<String>>,
    /// The step after them.
    pub then: Then<R>,
}

/// The step after the groups without tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then<R = Payload> {
    /// The next group with tasks.
    Group {
        /// The name of the group, if it has one.
        name: Option<String>,
        /// The number of its tasks.
        tasks: NonZeroU32,
    },
    /// No group is left: this is the response.
    Response(R),
    /// The document cannot be processed further.
    Failure(Failure),
}

/// The answer to a command that is not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The events of one commit. An empty list means that the command was already obeyed.
    Events(Vec<Event>),
    /// The reports end the group. The caller works out the steps from this group on, and gives the
    /// command again with them.
    NeedsSteps(GroupIndex),
}

/// Why a command is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such request was ever submitted.
    #[error("there is no such request")]
    Unknown,
    /// Another document has already taken the id.
    #[error("this idempotency key was used with another document")]
    FingerprintDiffers,
    /// The command is possible only while the request runs.
    #[error("the request has already {0}")]
    Ended(&'static str),
    /// A redrive needs a failed request, and this one is running.
    #[error("the request is still running; only a failed request can be redriven")]
    StillRunning,
    /// A redrive needs a failed request, and this one ended otherwise.
    #[error("the request ended as {0}; only a failed request can be redriven")]
    NotFailed(&'static str),
    /// A redrive of one run finds that another one has begun.
    #[error("the request was redriven meanwhile")]
    RedrivenMeanwhile,
    /// The log would delete the request before the end of a new run.
    #[error("the log keeps the request for less time than a run may take: fork it instead")]
    TooOld,
}
