//! The command that a commit answered, told by its events.

use std::time::Duration;

use domain::document::{Document, Effort, Limits};
use domain::request::{Advance, Command, Event, Failure, Fork, Rules, State, Step, TakenGroup};
use nats::Commit;

use super::reports::reports;
use crate::Error;
use crate::derive::Derivation;
use crate::fork::resubmitted;
use crate::source::Source;

/// The command that a commit answered, as far as its events tell; or why there is none.
pub async fn command(
    source: &Source,
    state: &State,
    commit: &Commit,
    fail_fast: bool,
) -> Result<Result<Command, String>, Error> {
    // Deadlines are recorded: with no timeout, `now` is the deadline.
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
            let begun = begins(&commit.events, &bytes).map(|step| Advance {
                reports: Vec::new(),
                steps: vec![step],
                from: 0,
                now,
                rules,
            });
            match begun {
                Some(first) => Command::Begin(Box::new(again), first),
                None => Command::Submit(Box::new(again)),
            }
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

/// The first step, where the API began a request with its submission.
fn begins(events: &[Event], document: &[u8]) -> Option<Step> {
    let [_, Event::GroupStarted(_)] = events else {
        return None;
    };
    let document = Document::accept(document, &Limits::accepted()).ok()?;
    let tasks = document.first_tasks(Effort::Whole)?;
    let name = document.group_name(0).map(str::to_owned);
    Some(Step::Group { name, tasks })
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
