use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Event, Next, Recorded, RequestId, Status};

/// How far a request has come, for whoever watches for those that are stuck: less than its state,
/// so that every open request can be watched at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    request: RequestId,
    status: Status,
    group: Option<u32>,
    sequence: u64,
    at: Timestamp,
    /// Up to when its timeouts explain that nothing happens.
    explained: Timestamp,
}

/// A request without progress for longer than its timeouts explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// The request.
    pub request_id: RequestId,
    /// Where it stands.
    pub status: Status,
    /// The group that runs, from 0.
    pub group: Option<u32>,
    /// The sequence of its last commit.
    pub sequence: u64,
    /// When that was.
    pub last_progress_at: Timestamp,
    /// When something should have happened at the latest.
    pub expected_by: Timestamp,
}

impl Progress {
    /// After one more event. None: the request has ended, and nothing more is to be expected.
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
            // What comes after the end changes nothing.
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

    /// That it is stuck, where it is: `slack` is what any step may take. No timeout explains a
    /// commit after sequence `taken_up`, which no orchestrator was given yet.
    #[must_use]
    pub fn stuck(&self, now: Timestamp, slack: Duration, taken_up: u64) -> Option<Stuck> {
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
