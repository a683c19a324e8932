//! The timeline: what happened, repeated things folded into one line.

use domain::request::{Event, Next, Recorded};
use jiff::Timestamp;

use crate::output::{between, clock, count, millis, short};

/// One line of a timeline.
pub struct Entry {
    /// The sequence of the first commit it tells of.
    pub sequence: u64,
    pub at: Timestamp,
    /// The event.
    pub name: &'static str,
    pub text: String,
    /// How many events it stands for.
    pub times: usize,
}

/// Like outcomes of tasks of one group, between two other events.
struct Folded {
    entry: Entry,
    key: (u32, String),
    tasks: Vec<u32>,
    durations: Vec<u64>,
    workers: Vec<String>,
}

/// The lines of these events. Folded, the outcomes of a group's tasks that are alike become one.
pub fn entries(events: impl Iterator<Item = Recorded<Event>>, fold: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut folded: Vec<Folded> = Vec::new();
    for recorded in events {
        if let Some(outcome) = outcome(&recorded) {
            let known = folded.iter_mut().find(|f| fold && f.key == outcome.key);
            match known {
                Some(known) => known.add(outcome),
                None => folded.push(outcome),
            }
            if fold {
                continue;
            }
        } else {
            entries.extend(folded.drain(..).map(Folded::told));
            entries.push(Entry {
                sequence: recorded.sequence,
                at: recorded.at,
                name: recorded.event.name(),
                text: text(&recorded.event),
                times: 1,
            });
        }
        if !fold {
            entries.extend(folded.drain(..).map(Folded::told));
        }
    }
    entries.extend(folded.drain(..).map(Folded::told));
    entries
}

fn outcome(recorded: &Recorded<Event>) -> Option<Folded> {
    let (key, text, task, duration, worker) = match &recorded.event {
        Event::TaskSucceeded(e) => (
            (e.group, String::new()),
            String::new(),
            e.task,
            e.duration_ms,
            &e.worker,
        ),
        Event::TaskFailed(e) => {
            let next = next(&e.next);
            let given_up = matches!(e.next, Next::DeadLetter(_));
            let fault = &e.attempt.fault;
            (
                (e.group, format!("{}:{given_up}", fault.code)),
                format!("{} {} · {next}", fault.code, short(&fault.message, 80)),
                e.task,
                e.attempt.duration_ms,
                &e.attempt.worker,
            )
        }
        _ => return None,
    };
    Some(Folded {
        entry: Entry {
            sequence: recorded.sequence,
            at: recorded.at,
            name: recorded.event.name(),
            text,
            times: 1,
        },
        key,
        tasks: vec![task],
        durations: vec![duration],
        workers: vec![worker.clone()],
    })
}

/// What follows a failed attempt.
pub fn next(next: &Next) -> String {
    match next {
        Next::RetryAt(at) => format!("again at {}", clock(*at)),
        Next::DispatchAt(at) => format!("dispatched again at {}", clock(*at)),
        Next::DeadLetter(letter) => format!("given up, dead letter {letter}"),
    }
}

impl Folded {
    fn add(&mut self, other: Self) {
        self.entry.times += 1;
        self.tasks.extend(other.tasks);
        self.durations.extend(other.durations);
        if !self.workers.contains(&other.workers[0]) {
            self.workers.extend(other.workers);
        }
    }

    fn told(mut self) -> Entry {
        self.durations.sort_unstable();
        let median = self.durations[self.durations.len() / 2];
        let longest = self.durations[self.durations.len() - 1];
        let took = if self.durations.len() == 1 {
            millis(median)
        } else {
            format!("median {}, longest {}", millis(median), millis(longest))
        };
        let group = self.key.0;
        let tasks = ranges(&mut self.tasks);
        let workers = match self.workers.len() {
            1 => self.workers[0].clone(),
            workers => count(workers as u64, "worker"),
        };
        let fault = if self.entry.text.is_empty() {
            String::new()
        } else {
            format!("{} · ", self.entry.text)
        };
        self.entry.text = format!("{group}.{tasks} · {fault}{took} · {workers}");
        self.entry
    }
}

/// Numbers as ranges: 1-3,7.
fn ranges(numbers: &mut Vec<u32>) -> String {
    numbers.sort_unstable();
    numbers.dedup();
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let texts = parts.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    });
    short(&texts.collect::<Vec<_>>().join(","), 40)
}

fn text(event: &Event) -> String {
    match event {
        Event::Received(e) => format!(
            "from {} · {} · {} bytes",
            e.submitter,
            count(e.groups.len() as u64, "group"),
            e.document.size()
        ),
        Event::ResourcesCaptured(e) => count(e.resources.len() as u64, "resource"),
        Event::GroupStarted(e) => format!(
            "{}{} · {} · until {}",
            e.group,
            e.name
                .as_ref()
                .map_or(String::new(), |name| format!(" '{name}'")),
            count(e.tasks, "task"),
            clock(e.deadline)
        ),
        Event::GroupTimedOut { group } | Event::GroupCompleted { group } => group.to_string(),
        Event::Succeeded(e) => format!("response of {} bytes", e.response.size()),
        Event::Failed(e) => format!("{}: {}", e.failure.code, short(&e.failure.message, 120)),
        Event::Cancelled(e) => format!("by {}: {}", e.by, short(&e.reason, 120)),
        Event::Redriven(e) => format!(
            "by {}: {} · {} run again",
            e.by,
            short(&e.reason, 100),
            count(e.tasks.len() as u64, "task")
        ),
        Event::Forked(e) => format!(
            "from {} at {} by {}: {}",
            e.from,
            e.sequence,
            e.by,
            short(&e.reason, 100)
        ),
        Event::TaskSucceeded(_) | Event::TaskFailed(_) => String::new(),
    }
}

/// The time since the entry before, as it is shown.
pub fn delta(before: Option<Timestamp>, at: Timestamp) -> String {
    before.map_or_else(|| clock(at), |before| format!("+{}", between(before, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&mut vec![3, 1, 2, 9, 7, 7]), "1-3,7,9");
    }
}
