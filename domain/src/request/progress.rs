use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Event, GroupIndex, Next, Recorded, RequestId, Sequence, Status};

/// How long any step may take beyond its timeouts before its request counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The progress of a request, for the detection of stuck requests. It is smaller than the state, so
/// that the detector can watch every open request at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    request: RequestId,
    status: Status,
    group: Option<GroupIndex>,
    sequence: Sequence,
    at: Timestamp,
    /// Until when its timeouts explain that nothing happens.
    explained: Timestamp,
}

/// A request that has had no progress for longer than its timeouts explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// The request.
    pub request_id: RequestId,
    /// The status of the request.
    pub status: Status,
    /// The group that runs.
    pub group: Option<GroupIndex>,
    /// The sequence of its last commit.
    pub sequence: Sequence,
    /// When the last commit was stored.
    pub last_progress_at: Timestamp,
    /// The latest time at which something should have happened.
    pub expected_by: Timestamp,
}

impl Progress {
    /// The progress after one more event; `None` if the request has ended and nothing more is
    /// expected.
    #[must_use]
    pub fn after(before: Option<Self>, recorded: &Recorded<Event>) -> Option<Self> {
        let at = recorded.at;
        let begun = |status| Self {
            request: recorded.request,
            status,
            group: None,
            sequence: recorded.sequence,
            at,
            explained: at,
        };
        let mut next = match (&recorded.event, before) {
            (Event::Received(_), _) => begun(Status::Received),
            (Event::Redriven(_), _) => begun(Status::Running),
            (event, _) if event.is_terminal() => return None,
            // An event after the end changes nothing.
            (_, before) => before?,
        };
        next.sequence = recorded.sequence;
        next.at = at;
        match &recorded.event {
            Event::GroupStarted(started) => {
                next.status = Status::Running;
                next.group = Some(started.group);
                next.explained = started.deadline;
            }
            Event::Redriven(redriven) => {
                next.group = redriven.group;
                if redriven.group.is_some() {
                    next.explained = redriven.deadline;
                }
            }
            Event::TaskFailed(failed) => {
                if let Next::RetryAt(due) | Next::DispatchAt(due) = failed.next {
                    next.explained = next.explained.max(due);
                }
            }
            Event::GroupCompleted { .. } => {
                next.group = None;
                next.explained = at;
            }
            _ => {}
        }
        Some(next)
    }

    /// Checks whether the request is stuck. `slack` is the time that any step may take. No timeout
    /// explains a commit after sequence `taken_up`, because no orchestrator has received such a
    /// commit yet.
    #[must_use]
    pub fn stuck(&self, now: Timestamp, slack: Duration, taken_up: Sequence) -> Option<Stuck> {
        let slack = SignedDuration::try_from(slack).unwrap_or(SignedDuration::MAX);
        let explained = if self.sequence > taken_up {
            self.at
        } else {
            self.explained
        };
        let expected_by = explained
            .max(self.at)
            .checked_add(slack)
            .unwrap_or(Timestamp::MAX);
        (now > expected_by).then_some(Stuck {
            request_id: self.request,
            status: self.status,
            group: self.group,
            sequence: self.sequence,
            last_progress_at: self.at,
            expected_by,
        })
    }
}
