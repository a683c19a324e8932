//! The fold of the commits of a request. It keeps the present run only, and of each attempt no more
//! than its span needs, so that a request may be of any size.

use std::time::Duration;

use domain::request::{
    Event, GroupIndex, GroupStarted, Redriven, RequestId, Run, Status, TraceParent, TraceState,
};
use jiff::Timestamp;
use nats::Commit;

use super::attempt::{Ended, Names};
use super::group::Group;
use super::{Happened, Sampling, Trace, millis, spans};

/// A request on its way into a trace.
pub struct Fold {
    pub(super) request: RequestId,
    pub(super) caller: Option<TraceParent>,
    pub(super) state: Option<TraceState>,
    /// The request that was forked.
    pub(super) origin: Option<RequestId>,
    pub(super) run: Run,
    /// When the run began; `None` before the first commit.
    pub(super) from: Option<Timestamp>,
    pub(super) groups: Vec<Group>,
    pub(super) happened: Vec<Happened>,
    pub(super) end: Option<End>,
    names: Names,
}

/// The end of a run.
pub(super) struct End {
    pub at: Timestamp,
    pub status: Status,
    /// The code of the failure.
    pub code: Option<String>,
}

impl Fold {
    /// The fold of no commit yet.
    #[must_use]
    pub fn new(request: RequestId) -> Self {
        Self {
            request,
            caller: None,
            state: None,
            origin: None,
            run: Run::FIRST,
            from: None,
            groups: Vec::new(),
            happened: Vec::new(),
            end: None,
            names: Names::default(),
        }
    }

    /// Takes in the next commit.
    pub fn take(&mut self, commit: &Commit) {
        let at = commit.at;
        // What follows a fork in its commit was taken over, and took no time here.
        let mut is_taken_over = false;
        for event in &commit.events {
            match event {
                Event::Received(received) => {
                    self.from = Some(at);
                    self.caller.clone_from(&received.traceparent);
                    self.state.clone_from(&received.tracestate);
                }
                Event::Forked(forked) => {
                    self.origin = Some(forked.from);
                    is_taken_over = true;
                }
                Event::ResourcesCaptured(captured) => self.happened.push(Happened {
                    name: event.name(),
                    at,
                    attributes: vec![("fanfold.resources", captured.resources.len().into())],
                }),
                Event::GroupStarted(started) => self.group_started(started, at),
                Event::TaskSucceeded(done) if is_taken_over => {
                    if let Some(group) = self.group(done.group) {
                        group.taken_over += 1;
                    }
                }
                Event::TaskSucceeded(done) => {
                    self.ended(done.group, &Ended::succeeded(done), Duration::ZERO, at);
                }
                Event::TaskFailed(failed) => {
                    self.ended(failed.group, &Ended::failed(failed), failed.delay(), at);
                }
                Event::GroupTimedOut { group } => {
                    if let Some(group) = self.group(*group) {
                        group.has_timed_out = true;
                    }
                }
                Event::GroupCompleted { group } => {
                    if let Some(group) = self.group(*group) {
                        group.to = Some(at);
                    }
                }
                Event::Succeeded(_) => self.ends(at, Status::Succeeded, None),
                Event::Failed(failed) => {
                    self.ends(at, Status::Failed, Some(failed.failure.code.clone()));
                }
                Event::Cancelled(_) => self.ends(at, Status::Cancelled, None),
                Event::Redriven(redriven) => self.redriven(redriven, at),
            }
        }
    }

    /// The last group with this index.
    fn group(&mut self, index: GroupIndex) -> Option<&mut Group> {
        self.groups.iter_mut().rfind(|group| group.index == index)
    }

    fn group_started(&mut self, started: &GroupStarted, at: Timestamp) {
        let name = started.name.clone();
        self.groups
            .push(Group::new(started.group, name, started.tasks, at));
    }

    fn ended(&mut self, group: GroupIndex, ended: &Ended<'_>, delay: Duration, at: Timestamp) {
        let group = self.groups.iter_mut().rfind(|known| known.index == group);
        if let Some(group) = group {
            group.take(ended, delay, at, &mut self.names);
        }
    }

    fn ends(&mut self, at: Timestamp, status: Status, code: Option<String>) {
        for group in &mut self.groups {
            group.to.get_or_insert(at);
        }
        self.end = Some(End { at, status, code });
    }

    /// Begins a new run, with the group that runs again.
    fn redriven(&mut self, redriven: &Redriven, at: Timestamp) {
        let again = redriven.group.map(|index| {
            let name = self.group(index).and_then(|group| group.name.take());
            let listed = u32::try_from(redriven.tasks.len()).unwrap_or(u32::MAX);
            Group::new(index, name, redriven.task_count.unwrap_or(listed), at)
        });
        self.run = redriven.run;
        self.from = Some(at);
        self.groups = again.into_iter().collect();
        self.happened.clear();
        self.end = None;
    }

    /// The trace of the run, if the run has ended and its trace is kept.
    #[must_use]
    pub fn trace(&self, sampling: &Sampling) -> Option<Trace> {
        let (from, end) = (self.from?, self.end.as_ref()?);
        self.is_kept(from, end, sampling)
            .then(|| spans::of(self, from, end))
    }

    fn is_kept(&self, from: Timestamp, end: &End, sampling: &Sampling) -> bool {
        let records = self.caller.as_ref().map(TraceParent::is_sampled);
        let stands_out = end.status != Status::Succeeded
            || self.run > Run::FIRST
            || u128::from(millis(from, end.at)) > sampling.slow.as_millis();
        match records {
            Some(true) => true,
            _ if stands_out => true,
            Some(false) => false,
            None => sampling.ratio.keeps(spans::own(self.request)),
        }
    }
}
