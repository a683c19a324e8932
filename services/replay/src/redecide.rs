//! Deciding again: what this build makes of the state before each commit and of what was said
//! then, beside what was committed.

use std::time::Duration;

use domain::request::{
    Advance, Command, Event, Failure, Fork, Outcome, Rejection, Report, Request, RequestId, Rules,
    State, TakenGroup, Verdict, decide, evolve,
};
use nats::Commit;

use crate::Error;
use crate::derive::Derivation;
use crate::fork::resubmitted;
use crate::source::Source;

/// The first event that this build decides otherwise.
#[derive(Clone, Debug)]
pub struct Divergence {
    pub request: RequestId,
    pub sequence: u64,
    /// Its place within the commit.
    pub index: usize,
    /// What is in the log; none where this build decides more.
    pub recorded: Option<Event>,
    /// What this build decides; none where it decides less.
    pub decided: Option<Event>,
    /// What else there is to say.
    pub note: Option<String>,
}

/// Decides every commit of a request again; gives the first event that differs.
pub async fn request(
    source: &Source,
    commits: &[Commit],
    fail_fast: bool,
) -> Result<Option<Divergence>, Error> {
    let mut state = State::Absent;
    for commit in commits {
        let decided = again(source, &state, commit, fail_fast).await?;
        if let Some(divergence) = compare(commit, decided) {
            return Ok(Some(divergence));
        }
        state = commit.events.iter().fold(state, evolve);
    }
    Ok(None)
}

fn compare(commit: &Commit, decided: Result<Vec<Event>, String>) -> Option<Divergence> {
    let (decided, note) = match decided {
        Ok(decided) => (decided, None),
        Err(note) => (Vec::new(), Some(note)),
    };
    let length = commit.events.len().max(decided.len());
    let index = (0..length).find(|index| commit.events.get(*index) != decided.get(*index))?;
    Some(Divergence {
        request: commit.request,
        sequence: commit.sequence,
        index,
        recorded: commit.events.get(index).cloned(),
        decided: decided.get(index).cloned(),
        note,
    })
}

/// What this build decides in the place of a commit, or why it decides nothing.
async fn again(
    source: &Source,
    state: &State,
    commit: &Commit,
    fail_fast: bool,
) -> Result<Result<Vec<Event>, String>, Error> {
    let command = command(source, state, commit, fail_fast).await?;
    let mut command = match command {
        Ok(command) => command,
        Err(reason) => return Ok(Err(reason)),
    };
    let refused = match decide(state, command.clone()) {
        Ok(events) => return Ok(Ok(events)),
        Err(Rejection::StepsNeeded(next)) => next,
        Err(rejection) => return Ok(Err(rejection.to_string())),
    };
    if let (Command::Advance(advance), Some(request)) = (&mut command, state.request()) {
        advance.from = refused;
        advance.steps = steps(source, request, &advance.reports, refused).await?;
    }
    Ok(decide(state, command).map_err(|rejection| rejection.to_string()))
}

async fn steps(
    source: &Source,
    request: &Request,
    reports: &[Report],
    next: u32,
) -> Result<Vec<domain::request::Step>, Error> {
    let fails = |failure| vec![domain::request::Step::Failure(failure)];
    let derived = Derivation::before_group(source, request, usize::MAX).await?;
    let mut derived = match derived {
        Ok(derived) => derived,
        Err(failure) => return Ok(fails(failure)),
    };
    if let Some(results) = request.ending_results(reports)
        && let Err(failure) = derived.put_results(source, &results).await?
    {
        return Ok(fails(failure));
    }
    derived.steps(source, next).await
}

/// The command that a commit answered, as far as its events tell; or why there is none.
async fn command(
    source: &Source,
    state: &State,
    commit: &Commit,
    fail_fast: bool,
) -> Result<Result<Command, String>, Error> {
    // Deadlines are recorded: with no time-out, `now` is the deadline.
    let rules = Rules {
        group_timeout: Duration::ZERO,
        fail_fast,
    };
    let deadline = commit.events.iter().find_map(|event| match event {
        Event::GroupStarted(e) => Some(e.deadline),
        Event::Redriven(e) => Some(e.deadline),
        _ => None,
    });
    let now = deadline.unwrap_or(commit.at);
    let command = match commit.events.as_slice() {
        [] => return Ok(Err("a commit without events".into())),
        [Event::Received(received), Event::Forked(forked), taken @ ..] => {
            Command::Fork(Box::new(Fork {
                received: (**received).clone(),
                forked: forked.clone(),
                resources: taken.iter().filter_map(resources).flatten().collect(),
                groups: taken_groups(taken),
                now,
                rules,
            }))
        }
        [Event::Received(received), ..] => {
            let bytes = source.payload(&received.document).await?;
            let mut again = match resubmitted(received, &bytes) {
                Ok(again) => again,
                Err(reason) => return Ok(Err(reason)),
            };
            if source.is_redacted() {
                again.fingerprint.clone_from(&received.fingerprint);
            }
            Command::Submit(Box::new(again))
        }
        [Event::ResourcesCaptured(e), ..] => Command::CaptureResources(e.resources.clone()),
        [Event::Cancelled(e), ..] => Command::Cancel {
            by: e.by.clone(),
            reason: e.reason.clone(),
        },
        [Event::Redriven(e), ..] => Command::Redrive {
            by: e.by.clone(),
            reason: e.reason.clone(),
            now,
            rules,
        },
        [Event::Failed(e)] if aborts(state, &e.failure) => {
            return abort(source, state, &e.failure).await;
        }
        events => Command::Advance(Advance {
            reports: reports(state, events),
            steps: Vec::new(),
            from: 0,
            now,
            rules,
        }),
    };
    Ok(Ok(command))
}

fn resources(event: &Event) -> Option<Vec<domain::request::Resource>> {
    match event {
        Event::ResourcesCaptured(e) => Some(e.resources.clone()),
        _ => None,
    }
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

/// Whether a failure on its own ended a group that ran: its task documents could not be made.
fn aborts(state: &State, failure: &Failure) -> bool {
    let running = state
        .request()
        .is_some_and(|request| request.running().is_some());
    running && failure.tasks.is_empty() && failure.code != "request-timed-out"
}

/// A request is aborted where its task documents cannot be made; this build may make them.
async fn abort(
    source: &Source,
    state: &State,
    recorded: &Failure,
) -> Result<Result<Command, String>, Error> {
    let Some(request) = state.request() else {
        return Ok(Err("there is no request to abort".into()));
    };
    let index = request.running().map_or(0, |group| group.index);
    let derived = Derivation::before_group(source, request, index as usize).await?;
    let made = derived.and_then(|derived| derived.tasks(index, None));
    Ok(match made {
        Ok(tasks) => Err(format!(
            "this build makes all {} documents of group {index}; then it was {}",
            tasks.len(),
            recorded.code
        )),
        Err(mut failure) => {
            failure.group = recorded.group;
            Ok(Command::Abort(failure))
        }
    })
}

/// What workers and timers must have said for these events.
fn reports(state: &State, events: &[Event]) -> Vec<Report> {
    let mut reports = Vec::new();
    let request = state.request();
    for event in events {
        match event {
            Event::TaskSucceeded(e) => reports.push(Report::Outcome(Outcome {
                group: e.group,
                task: e.task,
                run: None,
                attempt: e.attempt,
                worker: e.worker.clone(),
                started_at: e.started_at,
                duration_ms: e.duration_ms,
                given: e.given.clone(),
                verdict: Verdict::Succeeded(e.result.clone()),
            })),
            Event::TaskFailed(e) => reports.push(Report::Outcome(Outcome {
                group: e.group,
                task: e.task,
                run: None,
                attempt: e.attempt.attempt,
                worker: e.attempt.worker.clone(),
                started_at: e.attempt.started_at,
                duration_ms: e.attempt.duration_ms,
                given: e.given.clone(),
                verdict: Verdict::Failed {
                    fault: e.attempt.fault.clone(),
                    next: e.next.clone(),
                },
            })),
            Event::GroupTimedOut { group } => {
                let deadline = request
                    .and_then(|r| r.running())
                    .map(|group| group.deadline);
                reports.extend(deadline.map(|deadline| Report::GroupTimedOut {
                    group: *group,
                    deadline,
                }));
            }
            Event::Failed(e) if e.failure.code == "request-timed-out" => {
                let run = request.map_or(0, |request| request.redrives);
                reports.push(Report::RequestTimedOut { run });
            }
            _ => {}
        }
    }
    reports
}
