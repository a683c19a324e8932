//! What must be so in the log of every request, checked commit by commit in little memory.

use std::collections::HashMap;

use domain::request::{Event, Next};
use nats::Commit;

use super::{Problem, Report};

/// A request as far as it is checked: where it stands, and the tasks of the group it is in.
#[derive(Default)]
pub struct Checked {
    last: u64,
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
    index: u32,
    size: u32,
    succeeded: u32,
    tasks: HashMap<u32, Task>,
}

#[derive(Default)]
struct Task {
    last_attempt: u32,
    succeeded: bool,
    given_up: bool,
}

impl Checked {
    /// Checks one more commit. `first` is the first sequence that the log still has.
    pub fn take_in(&mut self, commit: &Commit, first: u64, report: &mut Report) {
        if self.last == 0 && commit.previous > 0 && commit.previous < first {
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
            // What a fork takes over keeps the numbers of its attempts.
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
            Event::TaskSucceeded(e) => {
                self.outcome(e.group, e.task, e.attempt, true, false, report)
            }
            Event::TaskFailed(e) => {
                let given_up = matches!(e.next, Next::DeadLetter(_));
                self.outcome(e.group, e.task, e.attempt.attempt, false, given_up, report)
            }
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

    fn start(&mut self, group: u32, size: u32) -> Option<String> {
        let running = self.group.as_ref().map(|group| group.index);
        self.group = Some(Group {
            index: group,
            size,
            ..Group::default()
        });
        if let Some(running) = running {
            return Some(format!("group {group} starts while group {running} runs"));
        }
        (group != self.completed).then(|| {
            format!(
                "group {group} starts after {} groups were completed",
                self.completed
            )
        })
    }

    fn outcome(
        &mut self,
        group: u32,
        task: u32,
        attempt: u32,
        succeeded: bool,
        given_up: bool,
        report: &mut Report,
    ) -> Option<String> {
        let Some(running) = self.group.as_mut().filter(|running| running.index == group) else {
            return Some(format!(
                "an outcome of task {group}.{task}, whose group does not run"
            ));
        };
        if task == 0 || task > running.size {
            return Some(format!("group {group} has no task {task}"));
        }
        let known = running.tasks.entry(task).or_default();
        if known.succeeded || known.given_up {
            return Some(format!("task {group}.{task} ends twice"));
        }
        if attempt <= known.last_attempt {
            let last = known.last_attempt;
            return Some(format!(
                "task {group}.{task}: attempt {attempt} is told after attempt {last}"
            ));
        }
        if attempt > known.last_attempt + 1 && !self.taken_over {
            // Deliveries are what is counted, so one whose worker died leaves no event.
            report.note("attempts without a report: their workers died, or lost their leases");
        }
        known.last_attempt = attempt;
        known.succeeded = succeeded;
        known.given_up = given_up;
        running.succeeded += u32::from(succeeded);
        None
    }

    fn complete(&mut self, group: u32) -> Option<String> {
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

    fn redrive(&mut self, group: Option<u32>) -> Option<String> {
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

/// A redrive, and outcomes of tasks that were under way.
fn may_follow_an_end(event: &Event) -> bool {
    matches!(
        event,
        Event::Redriven(_) | Event::TaskSucceeded(_) | Event::TaskFailed(_)
    )
}
