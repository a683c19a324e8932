//! Containment: work that ends its process, keeps panicking or cannot be done for another reason of
//! its own fails its request and is then skipped ([`nats::Quarantine`]).

use domain::FailureCode;
use std::pin::{Pin, pin};
use std::sync::Arc;

use domain::request::{Command, Failure, Phase, Rejection, RequestId, Sequence};
use nats::{Begun, Delivery, First, Mark, Quarantine, Verdict};
use runtime::caught;

use crate::context::Context;
use crate::error::Error;
use crate::queue_recovery::Lost;
use crate::{deferred_timers, effects};

/// The code of a request that failed because working on it ended the process.
const INTERNAL: FailureCode = FailureCode::Internal;

/// Describes a piece of work for people.
pub type Of<'a> = &'a (dyn Fn() -> String + Sync);

/// Applies the effects of a commit, under a mark if they may have ended a process before.
pub async fn commit(
    context: &Arc<Context>,
    commit: &Arc<deferred_timers::Commit>,
) -> Result<(), Error> {
    let delivery = commit.delivery();
    let Some(request) = delivery.request() else {
        return effects::of_commit(context, commit).await;
    };
    let work = pin!(effects::of_commit(context, commit));
    let of = || what(delivery, "the work on commit");
    let suspects = (&context.suspects.commits, First::Alone);
    let again = delivery.comes_again();
    match contained(context, suspects, request, again, &of, work).await? {
        End::Done | End::Failed(_) => Ok(()),
        End::PassedOver(reason) => Box::pin(set_aside(context, delivery, reason)).await,
    }
}

/// Puts back the lost tasks and timers of a request. A request that cannot be failed is skipped,
/// because its timeout will end it.
pub async fn lost(
    context: &Context,
    lost: &Lost,
    work: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<End, Error> {
    let request = lost.request;
    let of = || "the recovery of its tasks and timers".to_owned();
    let suspects = (&context.suspects.commits, First::InCompany);
    contained(context, suspects, request, lost.again, &of, work).await
}

/// Does some work on a request, under a mark if the work may have ended a process before. Work
/// without a mark yet begins alone or in company, as `first` says.
pub async fn contained(
    context: &Context,
    (suspects, first): (&Quarantine, First),
    request: RequestId,
    again: bool,
    of: Of<'_>,
    work: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<End, Error> {
    if !suspects.is_suspect(request, again) {
        return watched(context, suspects, request, of, work).await;
    }
    let begun = Box::pin(suspects.begin_as(first, request, Some(request))).await?;
    let ended = match begun.verdict {
        Verdict::Try => {
            let done = watched(context, suspects, request, of, work).await;
            suspects.end(begun).await;
            return done;
        }
        Verdict::Convicted => {
            let reason = reason(of, &begun);
            Box::pin(fail(context, request, reason)).await
        }
        Verdict::PassOver => Ok(End::PassedOver(reason(of, &begun))),
    };
    match &ended {
        Ok(_) => suspects.end(begun).await,
        Err(_) => suspects.leave(begun).await,
    }
    ended
}

/// The outcome of contained work.
pub enum End {
    /// The work was done.
    Done,
    /// The request has failed for this reason, and the work is not to be done.
    Failed(String),
    /// The request could not be failed either. The message becomes a dead letter for this reason.
    PassedOver(String),
}

/// Does some work and catches a panic. Work that panics is redelivered, and fails its request after
/// repeated panics.
async fn watched(
    context: &Context,
    suspects: &Quarantine,
    request: RequestId,
    of: Of<'_>,
    work: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<End, Error> {
    match caught(work).await {
        Ok(Ok(())) => {
            suspects.done(request);
            Ok(End::Done)
        }
        Ok(Err(error)) => Err(error),
        Err(panic) => Box::pin(panicked(context, suspects, request, of, panic)).await,
    }
}

async fn panicked(
    context: &Context,
    suspects: &Quarantine,
    request: RequestId,
    of: Of<'_>,
    panic: String,
) -> Result<End, Error> {
    // The work may have left the document half changed.
    context.reset_work(request).await;
    let reason = format!("{} panicked: {panic}", of());
    if !suspects.panicked(request) {
        return Err(Error::Later(reason));
    }
    let ended = fail(context, request, reason).await?;
    suspects.done(request);
    Ok(ended)
}

/// Whether a request has failed because work on it ended the process. If so, no more work on it is
/// done.
pub async fn has_failed(context: &Context, request: RequestId) -> Result<bool, Error> {
    let loaded = context.load_since(request, Sequence::NONE).await?;
    let phase = loaded.state().request().map(|request| &request.phase);
    Ok(matches!(phase, Some(Phase::Failed { failure, .. }) if failure.code == INTERNAL.as_str()))
}

/// Fails a request without reading its document. A request that has ended stays as it is, and its
/// message becomes a dead letter.
async fn fail(context: &Context, request: RequestId, reason: String) -> Result<End, Error> {
    tracing::error!(%request, "{reason}");
    let failure = Failure {
        code: INTERNAL.into(),
        message: reason.clone(),
        group: None,
        tasks: Vec::new(),
        task_count: None,
        truncated: false,
        redrive_may_help: false,
    };
    let ended = context.execute(request, Command::Abort(failure)).await;
    context.reset_work(request).await;
    match ended {
        Ok(receipt) if receipt.committed => Ok(End::Failed(reason)),
        Ok(_) | Err(Error::Refused(Rejection::Unknown) | Error::Unreadable(_)) => {
            Ok(End::PassedOver(reason))
        }
        Err(error) => Err(error),
    }
}

/// Stores a skipped message as a dead letter.
pub async fn set_aside(
    context: &Context,
    delivery: &Delivery,
    reason: String,
) -> Result<(), Error> {
    tracing::error!(
        subject = delivery.subject(),
        reason,
        "a message is skipped and becomes a dead letter"
    );
    let reason = nats::Error::Poisonous(reason);
    context.dead_letters.set_aside(delivery, &reason).await?;
    Ok(())
}

/// Describes a delivery for people.
pub fn what(delivery: &Delivery, kind: &str) -> String {
    match delivery.place() {
        Ok(place) => format!("{kind} {}", place.sequence),
        Err(_) => format!("{kind} of no place"),
    }
}

fn reason(of: Of<'_>, begun: &Begun) -> String {
    let last = begun.found.as_ref().map_or_else(String::new, |mark| {
        let Mark { by, at, .. } = mark;
        format!("; the last was {by}, at {at}, and its log may say why")
    });
    let (what, times) = (of(), begun.lost);
    format!("{what} was begun {times} times by processes that ended before it did{last}")
}
