//! The timeline of a request: its events, with similar outcomes of tasks folded into one entry.

use domain::request::{Event, GroupIndex, Next, Recorded, Sequence, TaskNumber};
use jiff::Timestamp;

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The sequence of the first commit of the entry.
    pub sequence: Sequence,
    /// The time of that commit.
    pub at: Timestamp,
    /// The name of the event.
    pub name: &'static str,
    /// How many events the entry stands for.
    pub times: usize,
    /// The event, or the outcomes.
    pub what: What,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Any event but the outcome of a task.
    Event(Event),
    /// Similar outcomes of tasks of one group, between two other events.
    Outcomes(Outcomes),
}

/// Similar outcomes of tasks of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// The index of the group.
    pub group: GroupIndex,
    /// The numbers of the tasks, in order, each once.
    pub tasks: Vec<TaskNumber>,
    /// The first failure, if the tasks failed.
    pub failure: Option<FailedOutcome>,
    /// The duration of each attempt in milliseconds, shortest first.
    pub durations_ms: Vec<u64>,
    /// The workers, each once.
    pub workers: Vec<String>,
}

/// A failed outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedOutcome {
    /// The code of the fault.
    pub code: String,
    /// The message of the fault.
    pub message: String,
    /// The consequence.
    pub next: Next,
}

impl FailedOutcome {
    fn is_like(&self, other: &Self) -> bool {
        let given_up = |failed: &Self| matches!(failed.next, Next::DeadLetter(_));
        self.code == other.code && given_up(self) == given_up(other)
    }
}

/// The timeline of these events. With `fold`, similar outcomes of the tasks of a group become one
/// entry.
pub fn entries(events: impl Iterator<Item = Recorded<Event>>, fold: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut open: Vec<Entry> = Vec::new();
    for recorded in events {
        let entry = entry(recorded);
        match &entry.what {
            What::Event(_) => {
                entries.extend(open.drain(..).map(Entry::sorted));
                entries.push(entry);
            }
            What::Outcomes(_) if !fold => entries.push(entry),
            What::Outcomes(outcomes) => match open.iter_mut().find(|known| known.takes(outcomes)) {
                Some(known) => known.add(entry),
                None => open.push(entry),
            },
        }
    }
    entries.extend(open.into_iter().map(Entry::sorted));
    entries
}

fn entry(recorded: Recorded<Event>) -> Entry {
    let name = recorded.event.name();
    let one = |group, task, failure, duration_ms, worker| {
        What::Outcomes(Outcomes {
            group,
            tasks: vec![task],
            failure,
            durations_ms: vec![duration_ms],
            workers: vec![worker],
        })
    };
    let what = match recorded.event {
        Event::TaskSucceeded(e) => one(e.group, e.task, None, e.duration_ms, e.worker),
        Event::TaskFailed(e) => {
            let failed = FailedOutcome {
                code: e.attempt.fault.code,
                message: e.attempt.fault.message,
                next: e.next,
            };
            let (duration_ms, worker) = (e.attempt.duration_ms, e.attempt.worker);
            one(e.group, e.task, Some(failed), duration_ms, worker)
        }
        event => What::Event(event),
    };
    Entry {
        sequence: recorded.sequence,
        at: recorded.at,
        name,
        times: 1,
        what,
    }
}

impl Entry {
    fn takes(&self, other: &Outcomes) -> bool {
        let What::Outcomes(own) = &self.what else {
            return false;
        };
        let alike = match (&own.failure, &other.failure) {
            (None, None) => true,
            (Some(own), Some(other)) => own.is_like(other),
            _ => false,
        };
        own.group == other.group && alike
    }

    fn add(&mut self, other: Self) {
        let (What::Outcomes(own), What::Outcomes(more)) = (&mut self.what, other.what) else {
            return;
        };
        self.times += other.times;
        own.tasks.extend(more.tasks);
        own.durations_ms.extend(more.durations_ms);
        for worker in more.workers {
            if !own.workers.contains(&worker) {
                own.workers.push(worker);
            }
        }
    }

    fn sorted(mut self) -> Self {
        if let What::Outcomes(outcomes) = &mut self.what {
            outcomes.tasks.sort_unstable();
            outcomes.tasks.dedup();
            outcomes.durations_ms.sort_unstable();
        }
        self
    }
}
