//! The inverse of [`decide`](super::decide).

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Advance, Command, Event, FirstGroup, Fork, GroupIndex, GroupStarted, Outcome, Phase, Report,
    Request, Resource, Rules, State, Steps, TakenGroup, Then, Verdict,
};
use crate::FailureCode;

/// The command that gave these events, which were committed at this time. `None` if there are no
/// events, or none that a command gives. The events hold all that a decision depends on, so that
/// `decide(state, cause(state, events))` gives the same events.
#[must_use]
pub fn cause(state: &State, events: &[Event], at: Timestamp) -> Option<Command> {
    let rules = rules(events);
    let now = deadline(events).unwrap_or(at);
    Some(match events {
        [] => return None,
        [Event::Received(received), Event::Forked(forked), rest @ ..] => {
            Command::Fork(Box::new(Fork {
                received: (**received).clone(),
                forked: forked.clone(),
                resources: resources(rest),
                groups: taken_groups(rest),
                now,
                rules,
            }))
        }
        [Event::Received(received), Event::GroupStarted(started)] => {
            let first = FirstGroup {
                name: started.name.clone(),
                tasks: NonZeroU32::new(started.tasks)?,
                now,
                rules,
            };
            Command::Begin(received.clone(), first)
        }
        [Event::Received(received), ..] => Command::Submit(received.clone()),
        [Event::ResourcesCaptured(e), ..] => Command::CaptureResources(e.resources.clone()),
        [Event::Cancelled(e), ..] => Command::Cancel {
            by: e.by.clone(),
            on_behalf_of: e.on_behalf_of.clone(),
            reason: e.reason.clone(),
        },
        [Event::Redriven(e), ..] => Command::Redrive {
            by: e.by.clone(),
            on_behalf_of: e.on_behalf_of.clone(),
            reason: e.reason.clone(),
            now,
            rules,
            only: None,
        },
        [Event::Failed(e)] if ends_a_running_group(state, &e.failure.code) => {
            Command::Abort(e.failure.clone())
        }
        events => {
            let request = state.request()?;
            Command::Advance(Advance {
                reports: reports(request, events),
                steps: steps(request, events),
                now,
                rules,
            })
        }
    })
}

/// The rules with which the events were decided. A deadline is recorded whole, so that a decision
/// at the deadline with no timeout gives it again.
fn rules(events: &[Event]) -> Rules {
    Rules {
        group_timeout: Duration::ZERO,
        fail_fast: events
            .iter()
            .any(|event| is_failure(event, FailureCode::TasksFailed)),
    }
}

fn deadline(events: &[Event]) -> Option<Timestamp> {
    events.iter().find_map(|event| match event {
        Event::GroupStarted(e) => Some(e.deadline),
        Event::Redriven(e) => Some(e.deadline),
        _ => None,
    })
}

fn is_failure(event: &Event, code: FailureCode) -> bool {
    matches!(event, Event::Failed(e) if e.failure.code == code.as_str())
}

/// Whether a failure with this code, alone in its commit, ended a group because its task documents
/// could not be made.
fn ends_a_running_group(state: &State, code: &str) -> bool {
    let decided = [
        FailureCode::TasksFailed,
        FailureCode::GroupTimedOut,
        FailureCode::RequestTimedOut,
    ];
    let running = state
        .request()
        .is_some_and(|request| request.running().is_some());
    running && decided.iter().all(|decided| decided.as_str() != code)
}

/// The reports of workers and timers behind the events.
fn reports(request: &Request, events: &[Event]) -> Vec<Report> {
    let of = |event: &Event| match event {
        Event::TaskSucceeded(e) => Some(Report::Outcome(Outcome {
            group: e.group,
            task: e.task,
            run: None,
            attempt: e.attempt,
            worker: e.worker.clone(),
            started_at: e.started_at,
            duration_ms: e.duration_ms,
            given: e.given.clone(),
            checked: false,
            exhausted: false,
            verdict: Verdict::Succeeded(e.result.clone()),
        })),
        Event::TaskFailed(e) => Some(Report::Outcome(Outcome {
            group: e.group,
            task: e.task,
            run: None,
            attempt: e.attempt.attempt,
            worker: e.attempt.worker.clone(),
            started_at: e.attempt.started_at,
            duration_ms: e.attempt.duration_ms,
            given: e.given.clone(),
            checked: false,
            exhausted: false,
            verdict: Verdict::Failed {
                fault: e.attempt.fault.clone(),
                next: e.next.clone(),
            },
        })),
        Event::GroupTimedOut { group } => {
            let deadline = request.running()?.deadline;
            let group = *group;
            Some(Report::GroupTimedOut { group, deadline })
        }
        failed if is_failure(failed, FailureCode::RequestTimedOut) => {
            let run = request.run;
            Some(Report::RequestTimedOut { run })
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// The steps behind the events. `None` if no group ended and none was to start.
fn steps(request: &Request, events: &[Event]) -> Option<Steps> {
    let ended = request.running().is_some();
    let rest = if ended {
        let completed = |event: &Event| matches!(event, Event::GroupCompleted { .. });
        &events[events.iter().position(completed)? + 1..]
    } else {
        matches!(request.phase, Phase::Planning).then_some(events)?
    };
    let next = request.completed.len() + usize::from(ended);
    let mut steps = Steps {
        from: GroupIndex::after(next),
        empty: Vec::new(),
        // The timer of the request came before this step, and no event holds it.
        then: Then::Group {
            name: None,
            tasks: NonZeroU32::MIN,
        },
    };
    for event in rest {
        match event {
            Event::GroupStarted(GroupStarted { name, tasks, .. }) => {
                let name = name.clone();
                match NonZeroU32::new(*tasks) {
                    None => steps.empty.push(name),
                    Some(tasks) => steps.then = Then::Group { name, tasks },
                }
            }
            Event::Succeeded(e) => steps.then = Then::Response(e.response.clone()),
            failed if is_failure(failed, FailureCode::RequestTimedOut) => {}
            Event::Failed(e) => steps.then = Then::Failure(e.failure.clone()),
            _ => {}
        }
    }
    Some(steps)
}

fn resources(events: &[Event]) -> Vec<Resource> {
    let captured = events.iter().filter_map(|event| match event {
        Event::ResourcesCaptured(e) => Some(e.resources.clone()),
        _ => None,
    });
    captured.flatten().collect()
}

fn taken_groups(events: &[Event]) -> Vec<TakenGroup> {
    let mut groups: Vec<TakenGroup> = Vec::new();
    for event in events {
        match event {
            Event::GroupStarted(e) => groups.push(TakenGroup {
                name: e.name.clone(),
                tasks: e.tasks,
                results: Vec::new(),
            }),
            Event::TaskSucceeded(e) => {
                if let Some(group) = groups.last_mut() {
                    group.results.push(e.clone());
                }
            }
            _ => {}
        }
    }
    groups
}
