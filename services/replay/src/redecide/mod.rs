//! Deciding again: what this build makes of the state before each commit and of what was said
//! then, beside what was committed.

mod command;
mod reports;

use domain::request::{
    Command, Event, Rejection, Report, Request, RequestId, State, decide, evolve,
};
use nats::Commit;

use crate::Error;
use crate::derive::Derivation;
use crate::source::Source;
use command::command;

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
