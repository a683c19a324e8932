//! A request's story: its commits up to a point, what they fold to, and its cause in plain words.

use std::fmt::Write as _;

use domain::request::{Event, Failure, Phase, Recorded, RequestId, State, Status, evolve};
use jiff::Timestamp;
use nats::Commit;
use projections::View;

use crate::Error;
use crate::output::{between, count};
use crate::place::Place;

/// A request, as far as it is looked at.
pub struct Story {
    pub id: RequestId,
    pub commits: Vec<Commit>,
    pub state: State,
    pub view: View,
    /// The commits after the point that is looked at.
    pub later: usize,
}

impl Story {
    /// The story up to a place, or all of it.
    pub fn of(id: RequestId, mut commits: Vec<Commit>, at: Option<Place>) -> Result<Self, Error> {
        let all = commits.len();
        if let Some(place) = at {
            let now = Timestamp::now();
            commits.retain(|commit| place.includes(commit, now));
        }
        let events = commits.iter().flat_map(Commit::recorded);
        let view = projections::fold(None, events).ok_or_else(|| {
            Error::NotFound(match at {
                Some(_) => format!("request {id} was not there yet at that point"),
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

    /// The events, each with its place.
    pub fn events(&self) -> impl Iterator<Item = Recorded<Event>> + '_ {
        self.commits.iter().flat_map(Commit::recorded)
    }

    /// The last commit's sequence.
    pub fn sequence(&self) -> u64 {
        self.commits.last().map_or(0, |commit| commit.sequence)
    }

    /// When the last commit was stored.
    pub fn last_at(&self) -> Timestamp {
        self.commits.last().map_or(self.view.received_at, |c| c.at)
    }

    /// How it stands and why, in plain words.
    pub fn cause(&self, now: Timestamp) -> String {
        let view = &self.view;
        let Some(request) = self.state.request() else {
            return "nothing is known of it".into();
        };
        match (&request.phase, view.status.plain()) {
            (Phase::Failed { failure, .. }, _) => failed(failure),
            (_, Status::Succeeded) => self.succeeded(),
            (_, Status::Cancelled) => self.cancelled(),
            (Phase::Running(group), _) => {
                let pending = group.size() - group.succeeded - group.failed;
                let given_up = match group.failed {
                    0 => String::new(),
                    failed => format!(", {} given up", count(failed, "task")),
                };
                format!(
                    "group {} runs: {} of {} have no outcome yet{given_up}; nothing new for {}",
                    group.index,
                    pending,
                    count(group.size(), "task"),
                    between(self.last_at(), now)
                )
            }
            _ => format!(
                "no group runs: the orchestrator has not worked out the next step since {} ago",
                between(self.last_at(), now).trim_start_matches('-')
            ),
        }
    }

    fn succeeded(&self) -> String {
        let tasks: u32 = self.view.groups.iter().map(|group| group.expected).sum();
        let failed = self.view.attempts.saturating_sub(u64::from(tasks));
        let retried = match failed {
            0 => "each at the first attempt".to_owned(),
            failed => format!("{} had to be tried again", count(failed, "attempt")),
        };
        let took = between(self.view.received_at, self.last_at());
        format!(
            "all {} have their results, {retried}; it took {took}",
            count(tasks, "task")
        )
    }

    fn cancelled(&self) -> String {
        let said = self.events().filter_map(|recorded| match recorded.event {
            Event::Cancelled(cancelled) => Some(cancelled),
            _ => None,
        });
        said.last().map_or_else(String::new, |cancelled| {
            format!("{} cancelled it: {}", cancelled.by, cancelled.reason)
        })
    }
}

/// The state after these commits.
pub fn fold(commits: &[Commit]) -> State {
    let events = commits.iter().flat_map(|commit| &commit.events);
    events.fold(State::Absent, evolve)
}

/// A failure in plain words: the first task given up, in place of their number alone.
pub fn failed(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    let first = failure
        .tasks
        .iter()
        .find_map(|task| Some((task.task, task.attempts.last()?)));
    if let Some((task, last)) = first {
        let more = match failure.tasks.len() {
            0 | 1 => String::new(),
            tasks => format!(" (and {} more)", tasks - 1),
        };
        let attempts = count(last.attempt, "attempt");
        let _ = write!(
            text,
            ": task {task}{more} had {attempts}, the last on {} with {}: {}",
            last.worker, last.fault.code, last.fault.message
        );
    }
    if let Some(cause) = first.and_then(|(_, last)| last.fault.causes.first()) {
        let _ = write!(text, " ← {cause}");
    }
    text
}
