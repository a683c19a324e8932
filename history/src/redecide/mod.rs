//! Decides every commit again: this build decides the recorded command on the state before each
//! commit, and the result is compared with the committed events.

mod derived;

use domain::request::{
    Command, Decision, Event, RequestId, Sequence, State, cause, decide, evolve,
};
use nats::Commit;

use crate::Error;
use crate::source::Source;
use derived::derived;

/// The first event that this build decides differently.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The request.
    pub request: RequestId,
    /// The sequence of the commit.
    pub sequence: Sequence,
    /// The index of the event within the commit.
    pub index: usize,
    /// The event in the log; `None` if this build decides additional events.
    pub recorded: Option<Event>,
    /// The event that this build decides; `None` if this build decides fewer events.
    pub decided: Option<Event>,
    /// A further remark.
    pub note: Option<String>,
}

/// Decides every commit of a request again, and returns the first event that differs. `fail_fast`
/// overrides the recorded setting.
pub async fn request(
    source: &Source,
    commits: &[Commit],
    fail_fast: Option<bool>,
) -> Result<Option<Divergence>, Error> {
    let mut state = State::Absent;
    for commit in commits {
        let decided = again(source, &state, commit, fail_fast).await?;
        if let Some(divergence) = compare(commit, decided, source.is_redacted()) {
            return Ok(Some(divergence));
        }
        state = commit.events.iter().fold(state, evolve);
    }
    Ok(None)
}

/// Without what a masked document cannot tell again: a failure quotes the document.
fn comparable(event: &Event, redacted: bool) -> Event {
    let mut event = event.clone();
    if let (Event::Failed(failed), true) = (&mut event, redacted) {
        failed.failure.message.clear();
    }
    event
}

fn compare(
    commit: &Commit,
    decided: Result<Vec<Event>, String>,
    redacted: bool,
) -> Option<Divergence> {
    let comparable = |event: Option<&Event>| event.map(|event| comparable(event, redacted));
    let (decided, note) = match decided {
        Ok(decided) => (decided, None),
        Err(note) => (Vec::new(), Some(note)),
    };
    let length = commit.events.len().max(decided.len());
    let differs =
        |index: &usize| comparable(commit.events.get(*index)) != comparable(decided.get(*index));
    let index = (0..length).find(differs)?;
    Some(Divergence {
        request: commit.request,
        sequence: commit.sequence,
        index,
        recorded: commit.events.get(index).cloned(),
        decided: decided.get(index).cloned(),
        note,
    })
}

/// The events that this build decides in place of a commit. The inner error says why it decides
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
            "this build starts group {from} here, and the log starts none"
        )),
        Err(rejection) => Err(rejection.to_string()),
    })
}
