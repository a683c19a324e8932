use crate::FailureCode;
use std::collections::HashSet;

use jiff::Timestamp;

use super::bounds::{TEXT_MAX_BYTES, cut};
use super::failure::FAILED_TASKS_MAX;
use super::{
    Advance, Cancelled, Command, Decision, Event, Failed, Failure, FirstGroup, Group, GroupIndex,
    GroupStarted, Phase, Received, Redriven, Rejection, Report, Request, Resource,
    ResourcesCaptured, Rules, State, Status, Steps, Succeeded, TaskNumber, Then, fork,
};
use tally::{Tally, Told};

mod tally;

/// Decides a command.
pub fn decide(state: &State, command: Command) -> Result<Decision, Rejection> {
    let events = match (state.request(), command) {
        (None, command) => first(command)?,
        (Some(request), Command::Advance(advance)) => {
            return Ok(match self::advance(request, advance) {
                Ok(events) => Decision::Events(events),
                Err(NeedsSteps(from)) => Decision::NeedsSteps(from),
            });
        }
        (Some(request), Command::Submit(received) | Command::Begin(received, _)) => {
            submit_again(request, &received)?
        }
        (Some(request), Command::Fork(fork)) => submit_again(request, &fork.received)?,
        (Some(request), Command::CaptureResources(resources)) => capture(request, resources),
        (Some(request), Command::Abort(failure)) => abort(request, failure),
        (
            Some(request),
            Command::Cancel {
                by,
                on_behalf_of,
                reason,
            },
        ) => cancel(request, (by, on_behalf_of), reason)?,
        (
            Some(request),
            Command::Redrive {
                by,
                on_behalf_of,
                reason,
                now,
                rules,
                only,
            },
        ) => {
            if only.is_some_and(|run| run != request.run) {
                return Err(Rejection::RedrivenMeanwhile);
            }
            redrive(request, (by, on_behalf_of), reason, deadline(now, rules))?
        }
    };
    Ok(Decision::Events(events))
}

/// Decides the first command to a request.
fn first(command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Submit(received) => Ok(vec![Event::Received(received)]),
        Command::Begin(received, first) => Ok(begin(received, first)),
        Command::Fork(fork) => Ok(fork::begin(*fork)),
        Command::CaptureResources(_)
        | Command::Advance(_)
        | Command::Abort(_)
        | Command::Cancel { .. }
        | Command::Redrive { .. } => Err(Rejection::Unknown),
    }
}

fn begin(received: Box<Received>, first: FirstGroup) -> Vec<Event> {
    let deadline = deadline(first.now, first.rules);
    let started = started(GroupIndex::FIRST, first.name, first.tasks.get(), deadline);
    vec![Event::Received(received), started]
}

fn submit_again(request: &Request, received: &Received) -> Result<Vec<Event>, Rejection> {
    if request.fingerprint == received.fingerprint {
        Ok(Vec::new())
    } else {
        Err(Rejection::FingerprintDiffers)
    }
}

fn capture(request: &Request, resources: Vec<Resource>) -> Vec<Event> {
    let mut known: HashSet<String> = request.resources.iter().map(|r| r.uri.clone()).collect();
    let resources: Vec<Resource> = resources
        .into_iter()
        .filter(|resource| known.insert(resource.uri.clone()))
        .collect();
    if resources.is_empty() || request.status().is_terminal() {
        return Vec::new();
    }
    vec![Event::ResourcesCaptured(ResourcesCaptured { resources })]
}

fn abort(request: &Request, failure: Failure) -> Vec<Event> {
    if request.status().is_terminal() {
        return Vec::new();
    }
    vec![failed(failure)]
}

/// The caller, and the person for whom the caller says it acts.
type By = (String, Option<String>);

fn cancel(request: &Request, by: By, reason: String) -> Result<Vec<Event>, Rejection> {
    match request.status() {
        Status::Cancelled => Ok(Vec::new()),
        Status::Received | Status::Running => {
            let (by, on_behalf_of) = by;
            Ok(vec![Event::Cancelled(Cancelled {
                by: said(by),
                on_behalf_of: on_behalf_of.map(said),
                reason: said(reason),
            })])
        }
        ended @ (Status::Succeeded | Status::Failed) => Err(Rejection::Ended(ended.as_str())),
    }
}

fn redrive(
    request: &Request,
    (by, on_behalf_of): By,
    reason: String,
    deadline: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let group = match &request.phase {
        Phase::Failed { group, .. } => group.as_ref(),
        Phase::Planning | Phase::Running(_) => return Err(Rejection::StillRunning),
        Phase::Succeeded | Phase::Cancelled { .. } => {
            return Err(Rejection::NotFailed(request.status().as_str()));
        }
    };
    let mut tasks: Vec<TaskNumber> = group.map_or_else(Vec::new, |group| group.open().collect());
    let count = tasks.len();
    tasks.truncate(FAILED_TASKS_MAX);
    let task_count = (tasks.len() < count).then(|| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(vec![Event::Redriven(Redriven {
        by: said(by),
        on_behalf_of: on_behalf_of.map(said),
        reason: said(reason),
        run: request.run.next(),
        group: group.map(|group| group.index),
        tasks,
        task_count,
        deadline,
    })])
}

/// A text from a caller, cut to its limit.
fn said(mut text: String) -> String {
    cut(&mut text, TEXT_MAX_BYTES);
    text
}

/// The group ends, and the steps from this group on are not there.
struct NeedsSteps(GroupIndex);

fn advance(request: &Request, advance: Advance) -> Result<Vec<Event>, NeedsSteps> {
    let Some(group) = request.group() else {
        return match request.phase {
            Phase::Planning if request_timed_out(request, &advance.reports) => {
                Ok(vec![failed(request_timeout(None, Failure::default()))])
            }
            Phase::Planning => follow(GroupIndex::after(request.completed.len()), advance),
            _ => Ok(Vec::new()),
        };
    };
    let mut tally = Tally::of(group, request.run);
    let mut events: Vec<Event> = advance
        .reports
        .iter()
        .filter_map(|report| match report {
            Report::Outcome(outcome) => tally.take_in(outcome),
            _ => None,
        })
        .collect();
    if request.running().is_some() {
        conclude(request, group, &tally, advance, &mut events)?;
    }
    Ok(events)
}

/// Adds the events that follow from the outcomes for the running group.
fn conclude(
    request: &Request,
    group: &Group,
    tally: &Tally,
    advance: Advance,
    events: &mut Vec<Event>,
) -> Result<(), NeedsSteps> {
    let index = group.index;
    if tally.all_ended() && tally.failed() == 0 {
        events.push(Event::GroupCompleted { group: index });
        let timed_out = request_timed_out(request, &advance.reports);
        let next = follow(GroupIndex::after(request.completed.len() + 1), advance)?;
        // The request's timer has fired and will not fire again: only the end of the request may
        // come first.
        if timed_out && !next.last().is_some_and(Event::is_terminal) {
            events.push(failed(request_timeout(None, Failure::default())));
        } else {
            events.extend(next);
        }
    } else if tally.all_ended() || (advance.rules.fail_fast && tally.failed() > 0) {
        events.push(failed(tally.failure()));
    } else if group_timed_out(group, &advance.reports) {
        events.push(Event::GroupTimedOut { group: index });
        let failure = group_timeout(group, tally.without_result());
        events.push(failed(failure));
    } else if request_timed_out(request, &advance.reports) {
        let told = tally.without_result();
        events.push(failed(request_timeout(Some(index), told.into())));
    }
    Ok(())
}

/// The events of the steps from group `next` on.
fn follow(next: GroupIndex, advance: Advance) -> Result<Vec<Event>, NeedsSteps> {
    let steps = advance.steps.filter(|steps| steps.from == next);
    let Steps { from, empty, then } = steps.ok_or(NeedsSteps(next))?;
    let deadline = deadline(advance.now, advance.rules);
    let mut events = Vec::with_capacity(2 * empty.len() + 1);
    let mut group = from;
    for name in empty {
        events.push(started(group, name, 0, deadline));
        events.push(Event::GroupCompleted { group });
        group = group.next();
    }
    events.push(match then {
        Then::Group { name, tasks } => started(group, name, tasks.get(), deadline),
        Then::Response(response) => Event::Succeeded(Succeeded { response }),
        Then::Failure(failure) => failed(failure),
    });
    Ok(events)
}

fn started(group: GroupIndex, name: Option<String>, tasks: u32, deadline: Timestamp) -> Event {
    Event::GroupStarted(GroupStarted {
        group,
        name,
        tasks,
        deadline,
    })
}

fn deadline(now: Timestamp, rules: Rules) -> Timestamp {
    now.checked_add(rules.group_timeout)
        .unwrap_or(Timestamp::MAX)
}

fn failed(failure: Failure) -> Event {
    let failure = failure.bounded();
    Event::Failed(Failed { failure })
}

fn group_timed_out(group: &Group, reports: &[Report]) -> bool {
    reports.iter().any(|report| {
        matches!(report, Report::GroupTimedOut { group: index, deadline }
            if *index == group.index && *deadline == group.deadline)
    })
}

fn request_timed_out(request: &Request, reports: &[Report]) -> bool {
    reports
        .iter()
        .any(|report| matches!(report, Report::RequestTimedOut { run } if *run == request.run))
}

fn group_timeout(group: &Group, told: Told) -> Failure {
    Failure {
        code: FailureCode::GroupTimedOut.into(),
        message: format!(
            "group {} was not complete at its deadline, {}: {} of {} tasks have no result",
            group.index,
            group.deadline,
            told.count,
            group.tasks.len()
        ),
        group: Some(group.index),
        redrive_may_help: true,
        ..told.into()
    }
}

fn request_timeout(group: Option<GroupIndex>, told: Failure) -> Failure {
    Failure {
        code: FailureCode::RequestTimedOut.into(),
        message: "the request was not finished within its time limit".into(),
        group,
        redrive_may_help: true,
        ..told
    }
}
