use std::collections::HashSet;

use jiff::Timestamp;

use super::bounds::{TEXT_MAX_BYTES, cut};
use super::failure::FAILED_TASKS_MAX;
use super::{
    Advance, Cancelled, Command, Event, Failed, Failure, Group, GroupStarted, Phase, Received,
    Redriven, Rejection, Report, Request, Resource, ResourcesCaptured, Rules, State, Status, Step,
    Succeeded, fork,
};
use tally::{Tally, Told};

mod tally;

/// Decides a command: the events of one commit. An empty list means that the command has already
/// been obeyed.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    let request = match (state, command) {
        (State::Absent, Command::Submit(received)) => return Ok(vec![Event::Received(received)]),
        (State::Absent, Command::Begin(received, first)) => return begin(received, first),
        (State::Absent, Command::Fork(fork)) => return Ok(fork::begin(*fork)),
        (State::Absent, _) => return Err(Rejection::Unknown),
        (State::Present(request), command) => (request, command),
    };
    match request {
        (request, Command::Submit(received) | Command::Begin(received, _)) => {
            submit_again(request, &received)
        }
        (request, Command::Fork(fork)) => submit_again(request, &fork.received),
        (request, Command::CaptureResources(resources)) => Ok(capture(request, resources)),
        (request, Command::Advance(advance)) => self::advance(request, advance),
        (request, Command::Abort(failure)) => Ok(abort(request, failure)),
        (request, Command::Cancel { by, reason }) => cancel(request, by, reason),
        (
            request,
            Command::Redrive {
                by,
                reason,
                now,
                rules,
            },
        ) => redrive(request, by, reason, deadline(now, rules)),
    }
}

fn begin(received: Box<Received>, first: Advance) -> Result<Vec<Event>, Rejection> {
    let mut events = vec![Event::Received(received)];
    events.extend(follow(0, first)?);
    Ok(events)
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

fn cancel(request: &Request, by: String, reason: String) -> Result<Vec<Event>, Rejection> {
    match request.status() {
        Status::Cancelled => Ok(Vec::new()),
        Status::Received | Status::Running => {
            let (by, reason) = (said(by), said(reason));
            Ok(vec![Event::Cancelled(Cancelled { by, reason })])
        }
        ended @ (Status::Succeeded | Status::Failed) => Err(Rejection::Ended(ended.as_str())),
    }
}

fn redrive(
    request: &Request,
    by: String,
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
    let mut tasks: Vec<u32> = group.map_or_else(Vec::new, |group| group.open().collect());
    let count = tasks.len();
    tasks.truncate(FAILED_TASKS_MAX);
    let task_count = (tasks.len() < count).then(|| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(vec![Event::Redriven(Redriven {
        by: said(by),
        reason: said(reason),
        run: request.redrives.saturating_add(1),
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

fn advance(request: &Request, advance: Advance) -> Result<Vec<Event>, Rejection> {
    let Some(group) = request.group() else {
        return match request.phase {
            Phase::Planning if request_timed_out(request, &advance.reports) => {
                Ok(vec![failed(request_timeout(None, Failure::default()))])
            }
            Phase::Planning => follow(request.completed.len(), advance),
            _ => Ok(Vec::new()),
        };
    };
    let mut tally = Tally::of(group, request.redrives);
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
) -> Result<(), Rejection> {
    let index = group.index;
    if tally.all_ended() && tally.failed() == 0 {
        events.push(Event::GroupCompleted { group: index });
        let timed_out = request_timed_out(request, &advance.reports);
        let next = follow(request.completed.len() + 1, advance)?;
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
fn follow(next: usize, advance: Advance) -> Result<Vec<Event>, Rejection> {
    let mut next = u32::try_from(next).unwrap_or(u32::MAX);
    if advance.steps.is_empty() || advance.from != next {
        return Err(Rejection::StepsNeeded(next));
    }
    let deadline = deadline(advance.now, advance.rules);
    let mut events = Vec::with_capacity(advance.steps.len());
    for step in advance.steps {
        match step {
            Step::Group { name, tasks } => {
                events.push(Event::GroupStarted(GroupStarted {
                    group: next,
                    name,
                    tasks,
                    deadline,
                }));
                if tasks == 0 {
                    events.push(Event::GroupCompleted { group: next });
                }
                next += 1;
            }
            Step::Response(response) => events.push(Event::Succeeded(Succeeded { response })),
            Step::Failure(failure) => events.push(failed(failure)),
        }
    }
    Ok(events)
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
            if *index == group.index && *deadline >= group.deadline)
    })
}

fn request_timed_out(request: &Request, reports: &[Report]) -> bool {
    reports
        .iter()
        .any(|report| matches!(report, Report::RequestTimedOut { run } if *run == request.redrives))
}

fn group_timeout(group: &Group, told: Told) -> Failure {
    Failure {
        code: "group-timed-out".into(),
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

fn request_timeout(group: Option<u32>, told: Failure) -> Failure {
    Failure {
        code: "request-timed-out".into(),
        message: "the request was not finished within its time limit".into(),
        group,
        redrive_may_help: true,
        ..told
    }
}
