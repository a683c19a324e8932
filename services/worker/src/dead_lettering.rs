//! The end of a task that will not be retried: first the dead letter, then the report, then the
//! answer to the message.

use domain::FailureCode;
use domain::request::{self, Attempt, Fault, Next, Outcome, Verdict};
use jiff::Timestamp;
use nats::{DeadLetter, Delivery, Error, Unreadable};

use crate::attempt::{Answer, Given, Span, UNREPORTED_PAUSE};
use crate::persistence::persist;
use crate::{WorkerContext, attempt, retry_decision};

/// Finds the dead letter of a redelivered task that was already given up in this run. The worker
/// died, or could not be heard, between the letter and the report.
pub async fn settled(
    context: &WorkerContext,
    given: &Given<'_>,
) -> Result<Option<DeadLetter>, Error> {
    let task = given.task;
    if retry_decision::of_this_run(task) <= 1 {
        return Ok(None);
    }
    let letters = &context.dead_letters;
    let finding = || letters.find(&task.task_type, task.id, task.run);
    Box::pin(persist(context, given.lease, finding)).await
}

/// Stores the dead letter, then reports, and only then ends the message. Each step is awaited, so
/// that a crash between two steps only repeats work. `exhausted` says that another attempt might
/// help, but that by this worker's count the task has had all its attempts.
///
/// A worker that lost the task cannot give it up, so the broker must have heard the worker right
/// before.
pub async fn give_up(
    context: &WorkerContext,
    given: &Given<'_>,
    fault: Fault,
    span: Span,
    exhausted: bool,
) -> Result<Answer, Error> {
    let task = given.task;
    if !given.lease.confirm().await {
        return attempt::fail_without_lease(context, given, fault, span).await;
    }
    tracing::warn!(
        code = fault.code,
        exhausted,
        "a task is given up: {}",
        fault.message
    );
    let letter = DeadLetter {
        task: task.id,
        run: task.run,
        task_type: task.task_type.clone(),
        tenant: task.origin.tenant.clone(),
        document: task.document.clone(),
        attempts: vec![Attempt {
            attempt: task.attempt,
            worker: context.worker.clone(),
            started_at: span.started_at,
            duration_ms: span.duration_ms,
            fault,
        }],
        sequence: None,
        truncated: false,
        exhausted,
    };
    let keeping = || context.dead_letters.keep(letter.clone());
    let kept = persist(context, given.lease, keeping).await?;
    context.counted.dead_letters.inc();
    let answer = report_again(context, given, &kept).await?;
    context.counted.given_up.inc();
    Ok(answer)
}

/// Reports the outcome in a dead letter, whichever attempt and worker it names.
pub async fn report_again(
    context: &WorkerContext,
    given: &Given<'_>,
    letter: &DeadLetter,
) -> Result<Answer, Error> {
    let task = given.task;
    let what = || format!("the dead letter {}", letter.id());
    let Some(last) = letter.attempts.last() else {
        let reason = "it has no attempt".into();
        return Err(Error::Corrupt {
            what: what(),
            reason,
        });
    };
    let outcome = Outcome {
        group: task.id.group,
        task: task.id.task,
        run: Some(letter.run),
        attempt: last.attempt,
        worker: last.worker.clone(),
        started_at: last.started_at,
        duration_ms: last.duration_ms,
        given: Some(letter.given()),
        checked: false,
        exhausted: letter.exhausted,
        verdict: Verdict::Failed {
            fault: last.fault.clone(),
            next: Next::DeadLetter(letter.id()),
        },
    };
    attempt::report(context, given, outcome).await?;
    Ok(Answer::Never)
}

/// Stores an unreadable task message as a dead letter, so that it blocks nothing. The task is given
/// up, so that its request ends and names the cause.
pub async fn set_aside(context: &WorkerContext, unreadable: &Unreadable) {
    let Unreadable { delivery, error } = unreadable;
    tracing::error!(%error, "a task message cannot be read and becomes a dead letter");
    let answered = match set_aside_and_report(context, delivery, error).await {
        Ok(_) => delivery.terminate().await,
        Err(_) => delivery.nak(UNREPORTED_PAUSE).await,
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "a task message will be delivered again");
    }
}

/// Stores a task message as a dead letter and reports its task as given up.
pub async fn set_aside_and_report(
    context: &WorkerContext,
    delivery: &Delivery,
    error: &Error,
) -> Result<Answer, Error> {
    let letter = context.dead_letters.set_aside(delivery, error).await?;
    let Some((id, run, attempt)) = delivery.attempt() else {
        return Ok(Answer::Never);
    };
    let outcome = Outcome {
        group: id.group,
        task: id.task,
        run: Some(run),
        attempt,
        worker: context.worker.clone(),
        started_at: Timestamp::now(),
        duration_ms: 0,
        given: Some(request::Given {
            task_type: context.task_type.name.clone(),
            sha256: None,
        }),
        checked: false,
        exhausted: false,
        verdict: Verdict::Failed {
            fault: Fault {
                code: FailureCode::Unreadable.into(),
                message: error.to_string(),
                causes: Vec::new(),
            },
            next: Next::DeadLetter(letter),
        },
    };
    context.reports.outcome(id.request, outcome, false).await?;
    Ok(Answer::Never)
}
