//! One attempt of one task: execute, report, answer the message. In this order, a crash between two
//! steps only repeats work.

use domain::FailureCode;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::document::{Limits, check_result};
use domain::request::{self, Fault, Next, Outcome, Payload};
use jiff::Timestamp;
use nats::{Error, TaskMessage};
use runtime::caught;
use tokio_util::sync::CancellationToken;

use crate::executor::{self, Retry};
use crate::retry_decision::{self, RetryDecision};
use crate::storage::{self, Unfinished};
use crate::suspect::{self, Suspect};
use crate::{WorkerContext, dead_lettering};

/// The pause before redelivery of a task whose outcome could not be reported.
pub const UNREPORTED_PAUSE: Duration = Duration::from_secs(1);

/// When an attempt ran, for its report, and whether the worker still held the task at its end.
pub struct Span {
    pub started_at: Timestamp,
    pub duration_ms: u64,
    lease: Lease,
    /// How many deliveries of the task ended together with their process.
    lost: u32,
}

/// Whether a worker holds its task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// The worker was silent for too long; the broker may have given the task to another worker.
    Lost,
}

/// How to answer a task's message, once everything is stored that must be stored first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Redeliver the task, but not before this delay.
    Again(Duration),
    /// Never redeliver the task.
    Never,
    /// The message is no longer this worker's to answer.
    Leave,
}

/// Runs an attempt to its end and answers the message.
pub async fn run(context: &WorkerContext, task: TaskMessage, cancelled: &CancellationToken) {
    let what = Suspect(&task);
    let again = task.again;
    let (answer, lost) = if context.quarantine.is_suspect(&what, again) {
        Box::pin(suspect::attempt(context, &task, cancelled)).await
    } else {
        let lost = if again {
            context.quarantine.lost(&what)
        } else {
            0
        };
        let done = attempt(context, &task, cancelled, lost).await;
        (or_again(&task, done), lost)
    };
    let answered = match answer {
        Answer::Done => task.delivery.ack().await,
        Answer::Again(delay) => {
            context.quarantine.survived(&what, lost);
            task.delivery.nak(delay).await
        }
        Answer::Never => task.delivery.terminate().await,
        Answer::Leave => return,
    };
    if !matches!(answer, Answer::Again(_)) {
        context.quarantine.done(&what);
    }
    if let Err(error) = answered {
        tracing::debug!(task = %task.id, %error, "not even that could be said; its lease will end");
    }
}

/// Asks for redelivery if the outcome could not be reported.
pub fn or_again(task: &TaskMessage, done: Result<Answer, Error>) -> Answer {
    done.unwrap_or_else(|error| {
        tracing::warn!(task = %task.id, attempt = task.attempt.get(), %error, "not reported; comes again");
        Answer::Again(UNREPORTED_PAUSE)
    })
}

/// Attempts a task that ended its process `lost` times before.
pub async fn attempt(
    context: &WorkerContext,
    task: &TaskMessage,
    cancelled: &CancellationToken,
    lost: u32,
) -> Result<Answer, Error> {
    match dead_lettering::settled(context, task).await? {
        Some(letter) => Box::pin(dead_lettering::report_again(context, task, &letter)).await,
        None => execute(context, task, cancelled, lost).await,
    }
}

async fn execute(
    context: &WorkerContext,
    task: &TaskMessage,
    cancelled: &CancellationToken,
    lost: u32,
) -> Result<Answer, Error> {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    // The future is large; box it so that only a pointer moves.
    let producing = pin!(caught(Box::pin(produce(context, task, cancelled))));
    let (result, lease) = keep_lease(context, task, producing).await;
    let result = result.unwrap_or_else(|panic| Err(panicked(&panic).into()));
    let span = Span {
        started_at,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        lease,
        lost,
    };
    match result {
        Ok(result) => succeed(context, task, result, span).await,
        Err(Unfinished::GivenBack(error)) => Err(error),
        Err(Unfinished::Failed(fault)) if cancelled.is_cancelled() => {
            tracing::info!(task = %task.id, code = fault.code, "stopped a task");
            Ok(Answer::Never)
        }
        Err(Unfinished::Failed(fault)) => Box::pin(fail(context, task, fault, span)).await,
    }
}

fn panicked(panic: &str) -> executor::Fault {
    let message = "the worker panicked during the attempt";
    executor::Fault::transient(FailureCode::WorkerFailed, message).because(panic)
}

impl Span {
    /// The span of an attempt that was never made.
    pub fn none() -> Self {
        Self {
            started_at: Timestamp::now(),
            duration_ms: 0,
            lease: Lease::Held,
            lost: 0,
        }
    }
}

/// Sends signs of life while the attempt runs. The time limit is up to the executor. A process that
/// was suspended for a while notices here that its lease may have expired.
pub async fn keep_lease<T>(
    context: &WorkerContext,
    task: &TaskMessage,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> (T, Lease) {
    let mut lease = Lease::Held;
    let mut heard = Instant::now();
    loop {
        let done = tokio::time::timeout(context.lease / 3, &mut work).await;
        if heard.elapsed() >= context.lease {
            lease = Lease::Lost;
        }
        if let Ok(done) = done {
            return (done, lease);
        }
        match task.delivery.in_progress().await {
            Ok(()) => heard = Instant::now(),
            Err(error) => {
                tracing::debug!(task = %task.id, %error, "could not extend the lease of a task");
            }
        }
    }
}

async fn produce(
    context: &WorkerContext,
    task: &TaskMessage,
    cancelled: &CancellationToken,
) -> Result<Payload, Unfinished> {
    let document = storage::document(context, &task.document, cancelled).await?;
    runtime::strike("worker", &document);
    let attempt = executor::Task {
        request_id: task.id.request.to_string(),
        task_type: task.task_type.clone(),
        group: task.id.group,
        task: task.id.task,
        attempt: task.attempt,
        traceparent: task.traceparent.as_ref().map(ToString::to_string),
        document,
    };
    let limit = context.task_type.time_limit;
    let result = context.executor.execute(&attempt, limit, cancelled).await?;
    let most = context.task_type.result_max_bytes;
    let result = executor::aside::computed(result, move |result| usable(result, most)).await?;
    storage::keep(context, result, cancelled).await
}

fn usable(result: Bytes, most: usize) -> Result<Bytes, executor::Fault> {
    let limits = Limits {
        max_result_bytes: most,
        ..Limits::default()
    };
    check_result(&result, &limits)
        .map_err(|error| executor::Fault::permanent(error.code(), error.to_string()))?;
    Ok(result)
}

fn outcome(
    context: &WorkerContext,
    task: &TaskMessage,
    span: &Span,
    verdict: request::Verdict,
) -> Outcome {
    Outcome {
        group: task.id.group,
        task: task.id.task,
        run: Some(task.run),
        attempt: task.attempt,
        worker: context.worker.clone(),
        started_at: span.started_at,
        duration_ms: span.duration_ms,
        given: Some(task.given()),
        checked: matches!(verdict, request::Verdict::Succeeded(_)),
        verdict,
    }
}

async fn succeed(
    context: &WorkerContext,
    task: &TaskMessage,
    result: Payload,
    span: Span,
) -> Result<Answer, Error> {
    let verdict = request::Verdict::Succeeded(result);
    report_verdict(context, task, &span, verdict).await?;
    Ok(Answer::Done)
}

async fn report_verdict(
    context: &WorkerContext,
    task: &TaskMessage,
    span: &Span,
    verdict: request::Verdict,
) -> Result<(), Error> {
    report(context, task, outcome(context, task, span, verdict)).await
}

/// Reports an outcome of a task.
pub async fn report(
    context: &WorkerContext,
    task: &TaskMessage,
    outcome: Outcome,
) -> Result<(), Error> {
    let reported = context
        .reports
        .outcome(task.id.request, outcome, task.sent_again);
    reported.await
}

async fn fail(
    context: &WorkerContext,
    task: &TaskMessage,
    fault: executor::Fault,
    span: Span,
) -> Result<Answer, Error> {
    let retry: Retry = fault.retry;
    let fault = Fault {
        code: fault.code,
        message: fault.message,
        causes: fault.causes,
    };
    if span.lease == Lease::Lost {
        return fail_without_lease(context, task, fault, span).await;
    }
    let delay = match retry_decision::next(context, task, span.lost, &fault.code, retry) {
        RetryDecision::GiveUp => return dead_lettering::give_up(context, task, fault, span).await,
        RetryDecision::Again(delay) => delay,
    };
    tracing::info!(
        task = %task.id, attempt = task.attempt.get(), code = fault.code, ?delay, "failed; comes again"
    );
    let at = Timestamp::now()
        .checked_add(delay)
        .unwrap_or(Timestamp::MAX);
    let long = delay > context.long_delay;
    let next = if long {
        Next::DispatchAt(at)
    } else {
        Next::RetryAt(at)
    };
    let verdict = request::Verdict::Failed { fault, next };
    report_verdict(context, task, &span, verdict).await?;
    // After a long delay, a timer of the orchestrator dispatches the task again.
    Ok(if long {
        Answer::Done
    } else {
        Answer::Again(delay)
    })
}

/// Reports an attempt whose lease has expired. Another worker has the task by now, and its attempt
/// counts. The orchestrator only records this one, and the message is not this worker's to answer.
async fn fail_without_lease(
    context: &WorkerContext,
    task: &TaskMessage,
    fault: Fault,
    span: Span,
) -> Result<Answer, Error> {
    tracing::warn!(
        task = %task.id, attempt = task.attempt.get(), code = fault.code, "an attempt failed after its lease had expired"
    );
    let next = Next::RetryAt(Timestamp::now());
    let verdict = request::Verdict::Failed { fault, next };
    report_verdict(context, task, &span, verdict).await?;
    Ok(Answer::Leave)
}
