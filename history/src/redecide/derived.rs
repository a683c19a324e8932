//! The parts of a command that this build derives from the document itself.

use domain::derivation::{Derivation, first_group, outline};
use domain::document::{Document, Effort, Limits};
use domain::request::{
    Advance, Command, Failure, FirstGroup, GroupIndex, Payload, Received, Request, State, Steps,
    Then,
};
use nats::sha256_of;

use crate::Error;
use crate::derive::{Stop, before_group, payloads, place};
use crate::source::Source;

/// The recorded command, with every part that follows from the document as this build derives it.
/// The inner error says why there is no such command.
pub async fn derived(
    source: &Source,
    state: &State,
    recorded: Command,
) -> Result<Result<Command, String>, Error> {
    Ok(match (recorded, state.request()) {
        (Command::Submit(received), _) => submitted(source, &received)
            .await?
            .map(|(received, _)| Command::Submit(Box::new(received))),
        (Command::Begin(received, first), _) => begun(source, &received, first).await?,
        (Command::Abort(failure), Some(request)) => aborted(source, request, failure).await?,
        (Command::Advance(advance), Some(request)) => {
            Ok(Command::Advance(advanced(source, request, advance).await?))
        }
        (command, _) => Ok(command),
    })
}

async fn submitted(
    source: &Source,
    received: &Received,
) -> Result<Result<(Received, Document), String>, Error> {
    let bytes = source.payload(&received.document).await?;
    let document = match Document::accept(&bytes, &Limits::accepted()) {
        Ok(document) => document,
        Err(refusal) => return Ok(Err(format!("this build refuses the document: {refusal}"))),
    };
    let payload = match &received.document {
        Payload::Inline(_) => place(&bytes),
        stored @ Payload::Stored { .. } => stored.clone(),
    };
    let mut again = resubmitted(received, &document, payload);
    if source.is_redacted() {
        again.fingerprint.clone_from(&received.fingerprint);
    }
    Ok(Ok((again, document)))
}

async fn begun(
    source: &Source,
    received: &Received,
    first: FirstGroup,
) -> Result<Result<Command, String>, Error> {
    let (received, document) = match submitted(source, received).await? {
        Ok(again) => again,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some(tasks) = first_group(&document, Effort::Whole) else {
        return Ok(Ok(Command::Submit(Box::new(received))));
    };
    let name = document.group_name(0).map(str::to_owned);
    let first = FirstGroup {
        name,
        tasks,
        ..first
    };
    Ok(Ok(Command::Begin(Box::new(received), first)))
}

/// Decides an abort again. A request is aborted if its task documents cannot be made; this build
/// may make them.
async fn aborted(
    source: &Source,
    request: &Request,
    recorded: Failure,
) -> Result<Result<Command, String>, Error> {
    let index = request
        .running()
        .map_or(GroupIndex::FIRST, |group| group.index);
    let made = before_group(source, request, index.index()).await?;
    let made = made.and_then(|mut derivation| {
        let made = derivation.all_tasks(index, Effort::Whole);
        made.map_err(Stop::from)
    });
    Ok(match made {
        Ok(tasks) => Err(format!(
            "this build makes all {} documents of group {index}; then it was {}",
            tasks.len(),
            recorded.code
        )),
        Err(Stop::Fails(mut failure)) => {
            failure.group = recorded.group;
            Ok(Command::Abort(*failure))
        }
        // The fetch failed then, and a replay does not repeat it.
        Err(Stop::NotCaptured(_)) => Ok(Command::Abort(recorded)),
    })
}

async fn advanced(
    source: &Source,
    request: &Request,
    mut advance: Advance,
) -> Result<Advance, Error> {
    let Some(recorded) = advance.steps.take() else {
        return Ok(advance);
    };
    let ending = request.ending_results(&advance.reports);
    let ending = match &ending {
        Some(results) => Some(payloads(source, results).await?),
        None => None,
    };
    let from = recorded.from;
    let derived = before_group(source, request, usize::MAX).await?;
    let derived =
        derived.and_then(|mut derivation| steps(&mut derivation, from, ending.as_deref()));
    advance.steps = Some(match derived {
        Ok(steps) => steps.map(|response| place(&response)),
        Err(Stop::Fails(failure)) => Steps::failing(from, *failure),
        // The fetch failed then, and its failure is an input of the decision.
        Err(Stop::NotCaptured(_)) if matches!(recorded.then, Then::Failure(_)) => recorded,
        Err(stop @ Stop::NotCaptured(_)) => {
            let failure = Failure {
                code: domain::FailureCode::HydrationFetchFailed.into(),
                message: stop.reason(),
                ..Failure::default()
            };
            Steps::failing(from, failure)
        }
    });
    Ok(advance)
}

fn steps(
    derivation: &mut Derivation,
    from: GroupIndex,
    ending: Option<&[Vec<u8>]>,
) -> Result<Steps<Vec<u8>>, Stop> {
    if let Some(results) = ending
        && let Some(steps) = derivation.end_group(results)?
    {
        return Ok(steps);
    }
    Ok(derivation.steps(from, Effort::Whole)?)
}

/// The event of a document that is submitted again.
fn resubmitted(received: &Received, document: &Document, payload: Payload) -> Received {
    Received {
        document: payload,
        fingerprint: sha256_of(|take| document.canonical_pieces(take)),
        groups: outline(document),
        ..received.clone()
    }
}
