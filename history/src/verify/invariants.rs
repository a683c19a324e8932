//! The invariants of the log of every request, checked commit by commit in little memory.

use std::collections::HashMap;

use domain::request::{
    Attempt, AttemptNumber, Event, GroupIndex, Next, Sequence, TaskFailed, TaskNumber,
    TaskSucceeded,
};
use jiff::Timestamp;
use nats::Commit;

use super::{Problem, Report};

/// The checked part of a request: its status, and the tasks of its current group.
#[derive(Default)]
pub struct Checked {
    last: Sequence,
    begun: bool,
    skipped: bool,
    taken_over: bool,
    ended: Option<&'static str>,
    completed: u32,
    groups: u32,
    group: Option<Group>,
}

#[derive(Default)]
struct Group {
    index: GroupIndex,
    size: u32,
    succeeded: u32,
    tasks: HashMap<TaskNumber, Task>,
}

#[derive(Default)]
struct Task {
    /// The failed attempts, by number, start and worker. The number alone does not identify an
    /// attempt, because a message that is sent again counts anew.
    failed: Vec<(AttemptNumber, Timestamp, String)>,
    succeeded: bool,
    given_up: bool,
}

impl Checked {
    /// Stops checking the request, because one of its commits cannot be read.
    pub fn skip(&mut self) {
        self.skipped = true;
    }

    /// Checks one more commit. `first` is the first sequence that the log still has.
    pub fn take_in(&mut self, commit: &Commit, first: Sequence, report: &mut Report) {
        if self.last == Sequence::NONE
            && commit.previous > Sequence::NONE
            && commit.previous < first
        {
            self.skipped = true;
            report.note("requests whose beginning is older than what the log keeps: not checked");
        }
        if !self.skipped {
            let mut problems = Vec::new();
            if commit.previous != self.last {
                problems.push(format!(
                    "a gap: it was decided on {}, and the commit before it is {}",
                    commit.previous, self.last
                ));
            }
            // The results that a fork takes over keep the numbers of their attempts.
            self.taken_over = commit.events.iter().any(|e| matches!(e, Event::Forked(_)));
            for event in &commit.events {
                problems.extend(self.check(event, report));
            }
            for message in problems {
                report.problem(Problem {
                    request_id: Some(commit.request),
                    kind: "log",
                    sequence: Some(commit.sequence),
                    key: None,
                    message,
                });
            }
        }
        self.last = commit.sequence;
        if self.ended == Some("succeeded") {
            self.group = None;
        }
    }

    fn check(&mut self, event: &Event, report: &mut Report) -> Option<String> {
        if let (Some(ended), false) = (self.ended, may_follow_an_end(event)) {
            return Some(format!("`{}` after the request has {ended}", event.name()));
        }
        match event {
            Event::Received(_) if self.begun => Some("`received` twice".into()),
            Event::Received(e) => {
                self.begun = true;
                self.groups = u32::try_from(e.groups.len()).unwrap_or(u32::MAX);
                None
            }
            _ if !self.begun => Some(format!("it begins with `{}`", event.name())),
            Event::GroupStarted(e) => self.start(e.group, e.tasks),
            Event::TaskSucceeded(e) => self.succeeded(e, report),
            Event::TaskFailed(e) => self.failed(e, report),
            Event::GroupCompleted { group } => self.complete(*group),
            Event::GroupTimedOut { group } => match &self.group {
                Some(running) if running.index == *group => None,
                _ => Some(format!("group {group} timed out, and does not run")),
            },
            Event::Succeeded(_) => self.succeed(),
            Event::Failed(_) | Event::Cancelled(_) => {
                self.ended = Some(event.name());
                None
            }
            Event::Redriven(e) => self.redrive(e.group),
            Event::ResourcesCaptured(_) | Event::Forked(_) => None,
        }
    }

    fn start(&mut self, group: GroupIndex, size: u32) -> Option<String> {
        let running = self.group.as_ref().map(|group| group.index);
        self.group = Some(Group {
            index: group,
            size,
            ..Group::default()
        });
        if let Some(running) = running {
            return Some(format!("group {group} starts while group {running} runs"));
        }
        (group != GroupIndex::new(self.completed)).then(|| {
            format!(
                "group {group} starts after {} groups were completed",
                self.completed
            )
        })
    }

    fn task(&mut self, group: GroupIndex, task: TaskNumber) -> Result<&mut Task, String> {
        let running = self.group.as_mut().filter(|running| running.index == group);
        let running = running.ok_or_else(|| {
            format!("an outcome of task {group}.{task}, whose group does not run")
        })?;
        if !task.is_within(running.size) {
            return Err(format!("group {group} has no task {task}"));
        }
        Ok(running.tasks.entry(task).or_default())
    }

    fn succeeded(&mut self, e: &TaskSucceeded, report: &mut Report) -> Option<String> {
        let taken_over = self.taken_over;
        let task = match self.task(e.group, e.task) {
            Ok(task) => task,
            Err(message) => return Some(message),
        };
        if task.succeeded || task.given_up {
            return Some(format!("task {}.{} ends twice", e.group, e.task));
        }
        task.succeeded = true;
        if !taken_over {
            task.note_lost(e.attempt, report);
        }
        if let Some(group) = &mut self.group {
            group.succeeded += 1;
        }
        None
    }

    fn failed(&mut self, e: &TaskFailed, report: &mut Report) -> Option<String> {
        let task = match self.task(e.group, e.task) {
            Ok(task) => task,
            Err(message) => return Some(message),
        };
        let given_up = matches!(e.next, Next::DeadLetter(_));
        if task.succeeded || (task.given_up && given_up) {
            return Some(format!("task {}.{} ends twice", e.group, e.task));
        }
        let Attempt {
            attempt,
            worker,
            started_at,
            ..
        } = &e.attempt;
        let known = (*attempt, *started_at, worker.clone());
        if task.failed.contains(&known) {
            return Some(format!(
                "task {}.{}: attempt {attempt} is recorded twice",
                e.group, e.task
            ));
        }
        task.failed.push(known);
        if given_up {
            task.given_up = true;
            task.note_lost(*attempt, report);
        }
        None
    }

    fn complete(&mut self, group: GroupIndex) -> Option<String> {
        self.completed += 1;
        match self.group.take() {
            Some(running) if running.index == group && running.succeeded == running.size => None,
            Some(running) if running.index == group => Some(format!(
                "group {group} is completed with {} of {} results",
                running.succeeded, running.size
            )),
            _ => Some(format!("group {group} is completed, and did not run")),
        }
    }

    fn succeed(&mut self) -> Option<String> {
        self.ended = Some("succeeded");
        (self.completed != self.groups || self.group.is_some()).then(|| {
            format!(
                "it has succeeded with {} of {} groups completed",
                self.completed, self.groups
            )
        })
    }

    fn redrive(&mut self, group: Option<GroupIndex>) -> Option<String> {
        let ended = self.ended.take();
        for task in self
            .group
            .iter_mut()
            .flat_map(|group| group.tasks.values_mut())
        {
            task.given_up = false;
        }
        if ended != Some("failed") {
            return Some("it was redriven, and had not failed".into());
        }
        let running = self.group.as_ref().map(|group| group.index);
        (running != group).then(|| format!("it was redriven in group {group:?}, not {running:?}"))
    }
}

impl Task {
    /// Notes attempts without an event. The attempt number is the delivery count, so an attempt
    /// whose worker died leaves no event.
    fn note_lost(&self, last: AttemptNumber, report: &mut Report) {
        let told = |number| self.failed.iter().any(|(attempt, ..)| *attempt == number);
        if (1..last.get()).any(|number| !told(AttemptNumber::new(number))) {
            report.note("tasks with attempts of which no report came: their workers died");
        }
    }
}

/// Whether an event may follow the end of a request: a redrive, or an outcome of a task that was
/// still running.
fn may_follow_an_end(event: &Event) -> bool {
    matches!(
        event,
        Event::Redriven(_) | Event::TaskSucceeded(_) | Event::TaskFailed(_)
    )
}
