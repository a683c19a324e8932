//! A simulation of the orchestrator, the workers and the broker around one request. Chance decides
//! when, how often and in which order messages are delivered.

mod chance;
mod orchestrator;
mod script;
mod worker;

use std::collections::BTreeMap;

use domain::request::{
    AttemptNumber, Command, Decision, Event, GroupIndex, Next, Payload, Report, Request, Rules,
    Run, State, Status, TaskNumber, TaskState, decide, evolve,
};
use jiff::Timestamp;

use crate::words::*;
pub use chance::{Chance, chance};
pub use script::{Script, orderly, script, succeeding};

/// A task in the work queue.
#[derive(Clone, Copy, Debug)]
struct Message {
    group: GroupIndex,
    task: TaskNumber,
    /// Attempts of earlier messages.
    before: AttemptNumber,
    /// Attempts of earlier runs.
    earlier: AttemptNumber,
    delivered: u32,
}

/// The whole state of the simulation of one request.
#[derive(Debug)]
pub struct World {
    script: Script,
    chance: Chance,
    rules: Rules,
    /// Whether timers may fire before the limited work has ended.
    impatient: bool,
    pub state: State,
    /// The commits, in order.
    pub log: Vec<Vec<Event>>,
    /// The commits whose effects have not been performed.
    outbox: Vec<usize>,
    queue: Vec<Message>,
    reports: Vec<Report>,
    group_timers: BTreeMap<GroupIndex, Timestamp>,
    request_timer: Option<Run>,
}

impl World {
    pub fn new(script: Script, chance: Chance) -> Self {
        let mut world = Self {
            script,
            chance,
            rules: RULES,
            impatient: false,
            state: State::Absent,
            log: Vec::new(),
            outbox: Vec::new(),
            queue: Vec::new(),
            reports: Vec::new(),
            group_timers: BTreeMap::new(),
            request_timer: None,
        };
        world.obey(Command::Submit(Box::new(document("f1"))));
        world
    }

    pub fn failing_fast(mut self) -> Self {
        self.rules.fail_fast = true;
        self
    }

    pub fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    pub fn request(&self) -> &Request {
        self.state.request().expect("it was submitted")
    }

    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.log.iter().flatten()
    }

    /// Runs until nothing is left to do.
    pub fn run(mut self) -> Self {
        while self.step() {
            self.check_timers();
        }
        self
    }

    /// Redrives the request. Earlier messages are delivered once more.
    pub fn redrive(mut self, chance: Chance) -> Self {
        self.chance = chance;
        self.impatient = false;
        self.obey(redrive(60 * (1 + i64::from(self.request().run.redrives()))));
        self.outbox = (0..self.log.len()).rev().collect();
        self.reports = self.events().filter_map(reported_by).collect();
        self.run()
    }

    fn step(&mut self) -> bool {
        let mut possible: Vec<fn(&mut Self)> = Vec::new();
        if !self.outbox.is_empty() {
            possible.push(Self::perform);
        }
        if !self.reports.is_empty() {
            possible.push(Self::gather);
        }
        if !self.queue.is_empty() {
            possible.push(Self::work);
        }
        if possible.is_empty() {
            return false;
        }
        if self.impatient && self.chance.strikes() && self.chance.strikes() {
            self.fire();
        }
        possible[self.chance.pick(possible.len())](self);
        true
    }

    pub fn obey(&mut self, command: Command) {
        assert_eq!(self.try_to(command), None, "it has its steps");
    }

    /// Gives a command. Returns the group from which it needs steps.
    fn try_to(&mut self, command: Command) -> Option<GroupIndex> {
        let events = match decide(&self.state, command).expect("the command is obeyed") {
            Decision::NeedsSteps(from) => return Some(from),
            Decision::Events(events) => events,
        };
        if !events.is_empty() {
            let state = std::mem::take(&mut self.state);
            self.state = events.iter().fold(state, evolve);
            self.outbox.push(self.log.len());
            self.log.push(events);
        }
        None
    }

    /// Checks the timers: once all effects are performed, in any order and any number of times,
    /// every running part has its own timers.
    fn check_timers(&self) {
        let request = self.request();
        if self.impatient || !self.outbox.is_empty() || request.status().is_terminal() {
            return;
        }
        assert_eq!(self.request_timer, Some(request.run));
        if let Some(group) = request.running() {
            assert_eq!(self.group_timers.get(&group.index), Some(&group.deadline));
        }
    }

    /// The results in their places, including those of the last group.
    pub fn results(&self) -> Vec<Vec<Option<String>>> {
        let text = |p: &Payload| p.inline().map(str::to_owned);
        let request = self.request();
        let completed = request.completed.iter();
        let mut results: Vec<Vec<_>> = completed.map(|g| g.iter().map(text).collect()).collect();
        if let Some(group) = request.group() {
            let of = |task: &TaskState| match task {
                TaskState::Succeeded(result) => text(result),
                _ => None,
            };
            results.push(group.tasks.iter().map(of).collect());
        }
        results
    }

    pub fn ended(&self) -> (Status, usize) {
        let ends = self.events().filter(|event| event.is_terminal()).count();
        (self.request().status(), ends)
    }
}

/// The report that an event records, for a second delivery.
fn reported_by(event: &Event) -> Option<Report> {
    match event {
        Event::TaskSucceeded(e) => Some(ok(e.group.get(), e.task.get(), e.attempt.get())),
        Event::TaskFailed(e) => {
            let (group, task, attempt) = (e.group.get(), e.task.get(), e.attempt.attempt.get());
            Some(match e.next {
                Next::RetryAt(_) | Next::DispatchAt(_) => again(group, task, attempt),
                Next::DeadLetter(_) => given_up(group, task, attempt),
            })
        }
        _ => None,
    }
}
