//! The statements and the evidence in words.

use crate::why::{Evidence, Statement};
use domain::request::{Event, Recorded};
use jiff::Timestamp;

use super::{between, clock, count, millis};

/// A statement.
#[must_use]
pub fn statement(statement: &Statement, now: Timestamp) -> String {
    match statement {
        Statement::Stands {
            status,
            since,
            cause,
        } => format!(
            "The request is {}, for {} now: {}.",
            status.as_str(),
            between(*since, now),
            super::cause(cause, now)
        ),
        Statement::Delayed { tasks, first } => format!(
            "{} failed and {} delayed, the first until {}, in {}.",
            count(*tasks, "task"),
            if *tasks == 1 { "is" } else { "are" },
            clock(*first),
            between(now, *first)
        ),
        Statement::WithWorkers(tasks) => format!("{} with a worker now.", are(*tasks)),
        Statement::Waiting(1) => "1 task waits for a worker.".into(),
        Statement::Waiting(tasks) => format!("{tasks} tasks wait for a worker."),
        Statement::NoWorkerAsks(name) => format!("No worker of type {name} asks for tasks now."),
        Statement::OutcomesReported => {
            "Outcomes are reported and wait for the orchestrator to commit them.".into()
        }
        Statement::Missing { tasks, deadline } => format!(
            "{} neither in the work queue nor reported: not dispatched yet, or lost; the group's \
             timeout is at {}.",
            are(*tasks),
            clock(*deadline)
        ),
        Statement::NoOrchestratorAsks => {
            "No orchestrator asks for commits now, so none continues the request.".into()
        }
        Statement::OrchestratorBehind(commits) => {
            format!("The orchestrator is {} behind.", count(*commits, "commit"))
        }
        Statement::TooFewToCompare => {
            "There are too few other tasks in groups of that name for a comparison.".into()
        }
        Statement::Speed { slow, usual } => format!(
            "For such tasks that is {}: they take {} (median), {} at the 95th percentile.",
            if *slow { "slow" } else { "usual" },
            millis(usual.median_ms),
            millis(usual.p95_ms)
        ),
    }
}

/// A piece of evidence.
#[must_use]
pub fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::EarlierEvents(skipped) => format!("log: {skipped} earlier events left out"),
        Evidence::Event(recorded) => event(recorded),
        Evidence::Queued(queued, held) => format!(
            "TASKS {}: task {}.{} of type {} {}, there since {}",
            queued.sequence,
            queued.task.group,
            queued.task.task,
            queued.task_type,
            if *held { "delivered" } else { "waiting" },
            clock(queued.at)
        ),
        Evidence::Report(subject) => format!("REPORTS: {subject}"),
        Evidence::Consumer(position) => format!(
            "consumer {}: {} not delivered, {} not acked, {} delivered again, {} asking",
            position.consumer,
            position.pending,
            position.unacked,
            position.redelivered,
            position.waiting_pulls
        ),
        Evidence::Usual { tasks, slowest_ms } => format!(
            "{} of other requests; its own slowest took {}",
            count(*tasks as u64, "task"),
            millis(*slowest_ms)
        ),
    }
}

fn event(recorded: &Recorded<Event>) -> String {
    let said = match &recorded.event {
        Event::TaskFailed(e) => format!(
            "task {}.{} attempt {} on {}: {} ({})",
            e.group,
            e.task,
            e.attempt.attempt,
            e.attempt.worker,
            e.attempt.fault.code,
            super::next(&e.next)
        ),
        event => event.name().to_owned(),
    };
    let (sequence, at) = (recorded.sequence, clock(recorded.at));
    format!("log {sequence}: {at} {said}")
}

fn are(tasks: u64) -> String {
    match tasks {
        1 => "1 task is".into(),
        tasks => format!("{tasks} tasks are"),
    }
}
