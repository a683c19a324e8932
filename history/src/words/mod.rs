//! The words for the answers of this crate. Every face says the same: the command line, the console
//! and whoever reads over HTTP.

mod format;
mod freshness;
mod why;

use std::fmt::Write as _;

use domain::request::{Event, Next, TaskNumber};
use jiff::Timestamp;

use crate::story::{Cause, FailureSummary};
use crate::timeline::{Outcomes, What};

pub use format::{between, clock, count, duration, millis, short, time};
pub use freshness::freshness;
pub use why::{evidence, statement};

/// Why a request is where it is.
#[must_use]
pub fn cause(cause: &Cause, now: Timestamp) -> String {
    match cause {
        Cause::Planning { since } => format!(
            "no group runs: the orchestrator has not worked out the next step since {} ago",
            between(*since, now).trim_start_matches('-')
        ),
        Cause::Running {
            group,
            tasks,
            pending,
            given_up,
            since,
        } => {
            let given_up = match given_up {
                0 => String::new(),
                failed => format!(", {} given up", count(*failed, "task")),
            };
            format!(
                "group {group} runs: {pending} of {} have no outcome yet{given_up}; nothing new \
                 for {}",
                count(*tasks, "task"),
                between(*since, now)
            )
        }
        Cause::Succeeded {
            tasks,
            failed_attempts,
            took,
        } => {
            let retried = match failed_attempts {
                0 => "each at the first attempt".to_owned(),
                failed => format!("{} had to be tried again", count(*failed, "attempt")),
            };
            format!(
                "all {} have their results, {retried}; it took {}",
                count(*tasks, "task"),
                duration(*took)
            )
        }
        Cause::Failed(failure) => failed(failure),
        Cause::Cancelled {
            by,
            on_behalf_of,
            reason,
        } => format!("{} cancelled it: {reason}", whom(by, on_behalf_of.as_ref())),
    }
}

/// A caller, with the person for whom it said it acted.
fn whom(by: &str, on_behalf_of: Option<&String>) -> String {
    match on_behalf_of {
        Some(person) => format!("{by} on behalf of {person}"),
        None => by.to_owned(),
    }
}

/// A failure, described by the first given-up task rather than by the number of tasks alone.
fn failed(failure: &FailureSummary) -> String {
    let mut text = failure.message.clone();
    let Some((task, last)) = &failure.first else {
        return text;
    };
    let more = match failure.tasks {
        0 | 1 => String::new(),
        tasks => format!(" (and {} more)", tasks - 1),
    };
    let attempts = count(last.attempt.get(), "attempt");
    let _ = write!(
        text,
        ": task {task}{more} had {attempts}, the last on {} with {}: {}",
        last.worker, last.fault.code, last.fault.message
    );
    if let Some(cause) = last.fault.causes.first() {
        let _ = write!(text, " ← {cause}");
    }
    text
}

/// The consequence of a failed attempt.
#[must_use]
pub fn next(next: &Next) -> String {
    match next {
        Next::RetryAt(at) => format!("again at {}", clock(*at)),
        Next::DispatchAt(at) => format!("dispatched again at {}", clock(*at)),
        Next::DeadLetter(letter) => format!("given up, dead letter {letter}"),
    }
}

/// An entry of a timeline.
#[must_use]
pub fn entry(what: &What) -> String {
    match what {
        What::Event(told) => event(told),
        What::Outcomes(told) => outcomes(told),
    }
}

fn outcomes(told: &Outcomes) -> String {
    let durations = &told.durations_ms;
    let median = durations.get(durations.len() / 2).copied().unwrap_or(0);
    let took = match durations.as_slice() {
        [.., longest] if durations.len() > 1 => {
            format!("median {}, longest {}", millis(median), millis(*longest))
        }
        _ => millis(median),
    };
    let workers = match told.workers.as_slice() {
        [one] => one.clone(),
        workers => count(workers.len() as u64, "worker"),
    };
    let fault = told.failure.as_ref().map_or_else(String::new, |failed| {
        let (message, next) = (short(&failed.message, 80), next(&failed.next));
        format!("{} {message} · {next} · ", failed.code)
    });
    let (group, tasks) = (told.group, ranges(&told.tasks));
    format!("{group}.{tasks} · {fault}{took} · {workers}")
}

/// Sorted numbers as ranges: 1-3,7.
fn ranges(numbers: &[TaskNumber]) -> String {
    let mut parts: Vec<(TaskNumber, TaskNumber)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if last.next() == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let texts = parts.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    short(&texts.collect::<Vec<_>>().join(","), 40)
}

fn event(event: &Event) -> String {
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
        Event::Cancelled(e) => format!(
            "by {}: {}",
            whom(&e.by, e.on_behalf_of.as_ref()),
            short(&e.reason, 120)
        ),
        Event::Redriven(e) => format!(
            "by {}: {} · {} run again",
            whom(&e.by, e.on_behalf_of.as_ref()),
            short(&e.reason, 100),
            count(e.tasks.len() as u64, "task")
        ),
        Event::Forked(e) => format!(
            "from {} at {} by {}: {}",
            e.from,
            e.sequence,
            whom(&e.by, e.on_behalf_of.as_ref()),
            short(&e.reason, 100)
        ),
        Event::TaskSucceeded(_) | Event::TaskFailed(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9].map(TaskNumber::new)), "1-3,7,9");
    }
}
