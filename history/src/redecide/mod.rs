//! Deciding again: what this build makes of the state before each commit and of what was said
//! then, beside what was committed.

mod derived;

use domain::request::{
    Command, Decision, Event, RequestId, Sequence, State, cause, decide, evolve,
};
use nats::Commit;

use crate::Error;
use crate::source::Source;
use derived::derived;

/// The first event that this build decides otherwise.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The request.
    pub request: RequestId,
    /// The sequence of the commit.
    pub sequence: Sequence,
    /// Its place within the commit.
    pub index: usize,
    /// What is in the log; none where this build decides more.
    pub recorded: Option<Event>,
    /// What this build decides; none where it decides less.
    pub decided: Option<Event>,
    /// What else there is to say.
    pub note: Option<String>,
}

/// Decides every commit of a request again; gives the first event that differs. `fail_fast` decides
/// as if the setting had been so.
pub async fn request(
    source: &Source,
    commits: &[Commit],
    fail_fast: Option<bool>,
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

/// The events that this build decides in the place of a commit. The inner error says why it decides
/// none.
async fn again(
    source: &Source,
    state: &State,
    commit: &Commit,
    fail_fast: Option<bool>,
) -> Result<Result<Vec<Event>, String>, Error> {
    let Some(recorded) = cause(state, &commit.events, commit.at) else {
        return Ok(Err("no command gives these events".into()));
    };
    let command = derived(source, state, recorded).await?;
    let mut command = match command {
        Ok(command) => command,
        Err(reason) => return Ok(Err(reason)),
    };
    if let (Command::Advance(advance), Some(fail_fast)) = (&mut command, fail_fast) {
        advance.rules.fail_fast = fail_fast;
    }
    Ok(match decide(state, command) {
        Ok(Decision::Events(events)) => Ok(events),
        Ok(Decision::NeedsSteps(from)) => Err(format!(
            "this build starts group {from} here, and none was started then"
        )),
        Err(rejection) => Err(rejection.to_string()),
    })
}
