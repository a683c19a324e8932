//! The story of a request: its commits up to a point, the state that they fold to, and its cause.

use domain::request::{
    Attempt, Event, Failure, GroupIndex, Phase, Recorded, RequestId, Sequence, State, Status,
    TaskNumber, evolve,
};
use jiff::{SignedDuration, Timestamp};
use nats::Commit;
use projections::View;

use crate::Error;
use crate::point::Point;

/// A request up to a point.
pub struct Story {
    /// The request.
    pub id: RequestId,
    /// The commits up to the point.
    pub commits: Vec<Commit>,
    /// The state after these commits.
    pub state: State,
    /// The view after these commits.
    pub view: View,
    /// The number of commits after the point.
    pub later: usize,
}

/// The part of a failure that tells its cause. A complete failure may have a thousand tasks with
/// all their attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureSummary {
    /// The code of the failure.
    pub code: String,
    /// The message of the failure.
    pub message: String,
    /// The number of tasks that the failure lists.
    pub tasks: usize,
    /// The first listed task with an attempt, and its last attempt.
    pub first: Option<(TaskNumber, Attempt)>,
}

impl From<&Failure> for FailureSummary {
    fn from(failure: &Failure) -> Self {
        let mut tasks = failure.tasks.iter();
        Self {
            code: failure.code.clone(),
            message: failure.message.clone(),
            tasks: failure.tasks.len(),
            first: tasks.find_map(|task| Some((task.task, task.attempts.last()?.clone()))),
        }
    }
}

/// Why a request is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The orchestrator has not derived the next step since this time.
    Planning {
        /// The time of the last commit.
        since: Timestamp,
    },
    /// A group runs.
    Running {
        /// The index of the group.
        group: GroupIndex,
        /// The number of its tasks.
        tasks: u32,
        /// The tasks without an outcome.
        pending: u32,
        /// The tasks that were given up.
        given_up: u32,
        /// The time of the last commit.
        since: Timestamp,
    },
    /// All tasks have their results.
    Succeeded {
        /// The number of tasks.
        tasks: u32,
        /// The number of attempts that failed.
        failed_attempts: u64,
        /// The time from the submission to the end.
        took: SignedDuration,
    },
    /// The request failed.
    Failed(FailureSummary),
    /// Somebody cancelled the request.
    Cancelled {
        /// The caller.
        by: String,
        /// The person for whom that caller said it acted.
        on_behalf_of: Option<String>,
        /// The reason.
        reason: String,
    },
}

impl Story {
    /// The story up to a point, or all of it.
    pub fn of(id: RequestId, mut commits: Vec<Commit>, at: Option<Point>) -> Result<Self, Error> {
        let all = commits.len();
        if let Some(point) = at {
            let now = Timestamp::now();
            commits.retain(|commit| point.includes(commit, now));
        }
        let events = commits.iter().flat_map(Commit::recorded);
        let view = projections::fold(None, events).ok_or_else(|| {
            Error::NotFound(match at {
                Some(_) => format!("request {id} did not exist yet at that point"),
                None => format!("the log of request {id} does not begin with `received`"),
            })
        })?;
        Ok(Self {
            id,
            state: fold(&commits),
            view,
            later: all - commits.len(),
            commits,
        })
    }

    /// The events, each with its position.
    pub fn events(&self) -> impl Iterator<Item = Recorded<Event>> + '_ {
        self.commits.iter().flat_map(Commit::recorded)
    }

    /// The events without a copy of each. An event may hold a document.
    pub fn borrowed(&self) -> impl Iterator<Item = Recorded<&Event>> + '_ {
        self.commits.iter().flat_map(Commit::borrowed)
    }

    /// The sequence of the last commit.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.commits
            .last()
            .map_or(Sequence::NONE, |commit| commit.sequence)
    }

    /// The time at which the last commit was stored.
    #[must_use]
    pub fn last_at(&self) -> Timestamp {
        self.commits.last().map_or(self.view.received_at, |c| c.at)
    }

    /// Why the request is where it is.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let since = self.last_at();
        let Some(request) = self.state.request() else {
            return Cause::Planning { since };
        };
        match (&request.phase, self.view.status.plain()) {
            (Phase::Failed { failure, .. }, _) => Cause::Failed(failure.into()),
            (_, Status::Succeeded) => self.succeeded(),
            (_, Status::Cancelled) => self.cancelled(),
            (Phase::Running(group), _) => Cause::Running {
                group: group.index,
                tasks: group.size(),
                pending: group.size() - group.succeeded - group.failed,
                given_up: group.failed,
                since,
            },
            _ => Cause::Planning { since },
        }
    }

    fn succeeded(&self) -> Cause {
        let tasks: u32 = self.view.groups.iter().map(|group| group.expected).sum();
        Cause::Succeeded {
            tasks,
            failed_attempts: self.view.attempts.saturating_sub(u64::from(tasks)),
            took: self.last_at().duration_since(self.view.received_at),
        }
    }

    fn cancelled(&self) -> Cause {
        let said = self.events().filter_map(|recorded| match recorded.event {
            Event::Cancelled(cancelled) => Some(cancelled),
            _ => None,
        });
        let last = said.last();
        Cause::Cancelled {
            by: last.as_ref().map_or_else(String::new, |e| e.by.clone()),
            on_behalf_of: last.as_ref().and_then(|e| e.on_behalf_of.clone()),
            reason: last.map_or_else(String::new, |e| e.reason),
        }
    }
}

/// The state after these commits.
#[must_use]
pub fn fold(commits: &[Commit]) -> State {
    let events = commits.iter().flat_map(|commit| &commit.events);
    events.fold(State::Absent, evolve)
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::request::{GroupOutline, Payload, Received};

    use super::*;

    /// The first commit of a request with one group.
    pub fn received(at: Timestamp) -> Commit {
        Commit {
            request: RequestId::new(uuid::Uuid::nil()),
            sequence: Sequence::FIRST,
            previous: Sequence::NONE,
            at,
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            events: vec![Event::Received(Box::new(Received {
                document: Payload::from("<vnml/>"),
                fingerprint: String::new(),
                groups: vec![GroupOutline {
                    name: None,
                    valuations: 1,
                }],
                metadata: std::collections::BTreeMap::new(),
                traceparent: None,
                tenant: domain::access::Tenant::default(),
                submitter: "anonymous".into(),
                idempotency_key: None,
            }))],
        }
    }
}
