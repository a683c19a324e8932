use std::time::Duration;

use jiff::Timestamp;

use super::{Failure, Fork, Payload, Received, Report, Resource};

/// What somebody wants of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Take this document in.
    Submit(Box<Received>),
    /// Take this document in, and begin with its first group, which needs nothing but the
    /// document.
    Begin(Box<Received>, Advance),
    /// Take in a document, and take over what another request has.
    Fork(Box<Fork>),
    /// Keep what was fetched.
    CaptureResources(Vec<Resource>),
    /// Take in what workers and timers say, and go as far as the steps allow.
    Advance(Advance),
    /// End it: its task documents cannot be made.
    Abort(Failure),
    /// Stop it.
    Cancel {
        /// Who wants it.
        by: String,
        /// Why.
        reason: String,
    },
    /// Run what failed again.
    Redrive {
        /// Who wants it.
        by: String,
        /// Why.
        reason: String,
        /// The time of the decision.
        now: Timestamp,
        /// The rules the run is under.
        rules: Rules,
    },
}

/// See [`Command::Advance`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// What workers and timers say, in the order it was taken in.
    pub reports: Vec<Report>,
    /// What comes after the current group, in order, as the document and the results have it;
    /// none where the caller does not expect the group to end.
    pub steps: Vec<Step>,
    /// The group that the first of the steps is about. The request may have gone on since they
    /// were worked out, and then they are not what comes next.
    pub from: u32,
    /// The time of the decision.
    pub now: Timestamp,
    /// The rules the request is under.
    pub rules: Rules,
}

/// What the operator configured for all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a group may take.
    pub group_timeout: Duration,
    /// Whether the first task given up ends the request, rather than the last to end.
    pub fail_fast: bool,
}

/// One step after a group, worked out from the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next group, and the number of its tasks; one without tasks is complete at once.
    Group {
        /// Its name, where it has one.
        name: Option<String>,
        /// The number of its tasks.
        tasks: u32,
    },
    /// There is no further group: this is the response.
    Response(Payload),
    /// The document cannot be taken further.
    Failure(Failure),
}

/// Why a command is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such request was ever submitted.
    #[error("there is no such request")]
    Unknown,
    /// The id is taken by another document.
    #[error("this idempotency key was used with another document")]
    FingerprintDiffers,
    /// What the command wants is possible only while the request runs.
    #[error("the request has already {0}")]
    Ended(&'static str),
    /// A redrive needs a failed request.
    #[error("the request is still running; only a failed request can be redriven")]
    StillRunning,
    /// A redrive needs a failed request.
    #[error("the request ended as {0}; only a failed request can be redriven")]
    NotFailed(&'static str),
    /// The log would lose the request before a run of it has to end.
    #[error("the log keeps the request for less time than a run may take: fork it instead")]
    TooOld,
    /// The group ends with these reports: the steps from the next group on are needed.
    #[error("the steps from group {0} on are needed")]
    StepsNeeded(u32),
}
