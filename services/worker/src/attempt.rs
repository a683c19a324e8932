//! One attempt of one task: execute, report, answer the message. In this order, a crash between two
//! steps only repeats work.

use domain::FailureCode;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::document::{Limits, check_result};
use domain::request::{self, Fault, Next, Outcome, Payload};
use jiff::Timestamp;
use nats::{EncodedReport, Error, TaskMessage};
use runtime::caught;
use tokio_util::sync::CancellationToken;

use crate::executor::{self, Retry};
use crate::lease::Lease;
use crate::persistence::persist;
use crate::retry_decision::{self, RetryDecision};
use crate::storage::{self, Unfinished};
use crate::suspect::{self, Suspect};
use crate::{WorkerContext, dead_lettering};

/// The pause before redelivery of a task whose outcome could not be reported.
pub const UNREPORTED_PAUSE: Duration = Duration::from_secs(1);

/// When an attempt ran, for its report.
pub struct Span {
    pub started_at: Timestamp,
    pub duration_ms: u64,
    /// How many deliveries of the task ended together with their process.
    lost: u32,
}

/// How to answer a task's message, once everything is stored that must be stored first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Redeliver the task, but not before this delay.
    Again(Duration),
    /// Redeliver the task at once. This worker stops, and the delivery was no attempt.
    GivenBack,
    /// Never redeliver the task.
    Never,
    /// The message is no longer this worker's to answer.
    Leave,
}

/// A task in the hands of this worker.
pub struct Given<'a> {
    pub task: &'a TaskMessage,
    pub lease: &'a Lease<'a>,
    pub cancelled: &'a CancellationToken,
}

/// Runs an attempt to its end and answers the message.
pub async fn run(context: &WorkerContext, task: TaskMessage, cancelled: &CancellationToken) {
    let lease = Lease::of(&task, context.lease);
    note_wait(context, &task);
    if !lease.is_held() {
        context.counted.late.inc();
        tracing::debug!("a task arrived after its lease had ended");
        return;
    }
    let given = Given {
        task: &task,
        lease: &lease,
        cancelled,
    };
    let attempting = pin!(attempt_it(context, &given));
    let (answer, lost) = lease.kept_while(attempting).await;
    answer_message(context, &given, answer, lost).await;
}

/// Notes how long a task waited in the queue, at its first delivery: later ones were put off.
fn note_wait(context: &WorkerContext, task: &TaskMessage) {
    if let Ok(place) = task.delivery.place()
        && place.delivered == 1
    {
        let waited = Timestamp::now().duration_since(place.stored_at);
        context
            .counted
            .waited(waited.try_into().unwrap_or_default());
    }
}

/// Attempts a task. Also returns how many earlier attempts began and never ended.
async fn attempt_it(context: &WorkerContext, given: &Given<'_>) -> (Answer, u32) {
    let (task, what) = (given.task, Suspect(given.task));
    if context.quarantine.is_suspect(&what, task.again) {
        return Box::pin(suspect::attempt(context, given)).await;
    }
    let lost = if task.again {
        context.quarantine.lost(&what)
    } else {
        0
    };
    // The future is large; pin it so that only a pointer moves.
    let attempting = pin!(attempt(context, given, lost));
    let done = until_hard_end(context, attempting).await;
    (or_again(context, done), lost)
}

/// Does work, and drops it at the hard end of this process: the task then goes to another worker.
pub async fn until_hard_end(
    context: &WorkerContext,
    work: impl Future<Output = Result<Answer, Error>>,
) -> Result<Answer, Error> {
    let ended = context.shutdown.unless_hard(work).await;
    ended.unwrap_or(Ok(Answer::GivenBack))
}

/// Answers the message, unless another worker may have it by now. The broker has no fence for
/// answers: it would take this one for the answer of the other worker.
async fn answer_message(context: &WorkerContext, given: &Given<'_>, answer: Answer, lost: u32) {
    let Given { task, lease, .. } = given;
    let what = Suspect(task);
    if matches!(answer, Answer::Again(_) | Answer::GivenBack) {
        context.quarantine.survived(&what, lost);
    } else {
        context.quarantine.done(&what);
    }
    if answer == Answer::GivenBack {
        context.counted.given_back.inc();
    }
    if answer != Answer::Leave && !lease.may_answer() {
        context.counted.leases_lost.inc();
        tracing::warn!(
            ?answer,
            "the lease was lost or the broker is away, so the message is not answered"
        );
        return;
    }
    let answered = match answer {
        Answer::Done => task.delivery.ack().await,
        Answer::Again(delay) => task.delivery.nak(delay).await,
        Answer::GivenBack => {
            tracing::info!("gave a task back; this worker stops");
            task.delivery.nak(Duration::ZERO).await
        }
        Answer::Never => task.delivery.terminate().await,
        Answer::Leave => Ok(()),
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "not even that could be said; its lease will end");
    }
}

/// Asks for redelivery if the outcome could not be reported.
pub fn or_again(context: &WorkerContext, done: Result<Answer, Error>) -> Answer {
    done.unwrap_or_else(|error| {
        context.counted.unreported.inc();
        tracing::warn!(%error, "not reported; comes again");
        Answer::Again(UNREPORTED_PAUSE)
    })
}

/// Attempts a task that ended its process `lost` times before.
pub async fn attempt(
    context: &WorkerContext,
    given: &Given<'_>,
    lost: u32,
) -> Result<Answer, Error> {
    match dead_lettering::settled(context, given).await? {
        Some(letter) => Box::pin(dead_lettering::report_again(context, given, &letter)).await,
        None => execute(context, given, lost).await,
    }
}

async fn execute(context: &WorkerContext, given: &Given<'_>, lost: u32) -> Result<Answer, Error> {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    // The future is large; box it so that only a pointer moves.
    let result = caught(Box::pin(produce(context, given))).await;
    let result = result.unwrap_or_else(|panic| Err(panicked(&panic).into()));
    let trace = given.task.origin.trace.parent.as_ref();
    let trace_id = trace.and_then(|trace| trace.as_str().split('-').nth(1));
    context.counted.took.took(started.elapsed(), trace_id);
    let span = Span {
        started_at,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        lost,
    };
    match result {
        Ok(result) => succeed(context, given, result, span).await,
        Err(Unfinished::GivenBack(_)) if context.shutdown.is_soft() => Ok(Answer::GivenBack),
        Err(Unfinished::GivenBack(error)) => Err(error),
        Err(Unfinished::Failed(fault)) if given.cancelled.is_cancelled() => {
            context.counted.stopped.inc();
            tracing::debug!(code = fault.code, "stopped a task");
            Ok(Answer::Never)
        }
        Err(Unfinished::Failed(fault)) => Box::pin(fail(context, given, fault, span)).await,
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
            lost: 0,
        }
    }
}

async fn produce(context: &WorkerContext, given: &Given<'_>) -> Result<Payload, Unfinished> {
    let Given {
        task, cancelled, ..
    } = given;
    let document = storage::document(context, given).await?;
    runtime::strike("worker", &document);
    let attempt = executor::Task {
        request_id: task.id.request.to_string(),
        task_type: task.task_type.clone(),
        group: task.id.group,
        task: task.id.task,
        attempt: task.attempt,
        traceparent: task.origin.trace.parent.as_ref().map(ToString::to_string),
        tracestate: task.origin.trace.state.as_ref().map(ToString::to_string),
        document,
    };
    let limit = context.task_type.time_limit;
    let result = context.executor.execute(&attempt, limit, cancelled).await?;
    let most = context.task_type.result_max_bytes;
    let result = executor::aside::computed(result, move |result| usable(result, most)).await?;
    storage::keep(context, given, result).await
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
        exhausted: false,
        verdict,
    }
}

async fn succeed(
    context: &WorkerContext,
    given: &Given<'_>,
    result: Payload,
    span: Span,
) -> Result<Answer, Error> {
    let verdict = request::Verdict::Succeeded(result);
    report_verdict(context, given, &span, verdict).await?;
    context.counted.succeeded.inc();
    Ok(Answer::Done)
}

async fn report_verdict(
    context: &WorkerContext,
    given: &Given<'_>,
    span: &Span,
    verdict: request::Verdict,
) -> Result<(), Error> {
    let outcome = outcome(context, given.task, span, verdict);
    report(context, given, outcome).await
}

/// Reports an outcome of a task, for as long as the worker has the task.
pub async fn report(
    context: &WorkerContext,
    given: &Given<'_>,
    outcome: Outcome,
) -> Result<(), Error> {
    let Given { task, lease, .. } = given;
    let report = EncodedReport::of_outcome(task.id.request, outcome, task.sent_again)?;
    persist(context, lease, || context.reports.send(&report)).await
}

async fn fail(
    context: &WorkerContext,
    given: &Given<'_>,
    fault: executor::Fault,
    span: Span,
) -> Result<Answer, Error> {
    let task = given.task;
    let retry: Retry = fault.retry;
    let fault = Fault {
        code: fault.code,
        message: fault.message,
        causes: fault.causes,
    };
    context.counted.fault(&fault.code);
    if !given.lease.is_held() {
        return fail_without_lease(context, given, fault, span).await;
    }
    let delay = match retry_decision::next(context, task, span.lost, &fault.code, retry) {
        RetryDecision::GiveUp { exhausted } => {
            return dead_lettering::give_up(context, given, fault, span, exhausted).await;
        }
        RetryDecision::Again(delay) => delay,
    };
    // With a service that is down, this is said for every task and attempt.
    tracing::debug!(code = fault.code, ?delay, "failed; comes again");
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
    report_verdict(context, given, &span, verdict).await?;
    context.counted.again.inc();
    // After a long delay, a timer of the orchestrator dispatches the task again.
    Ok(if long {
        Answer::Done
    } else {
        Answer::Again(delay)
    })
}

/// Reports an attempt whose lease has expired. Another worker has the task by now, and its attempt
/// counts. The orchestrator only records this one, and the message is not this worker's to answer.
pub async fn fail_without_lease(
    context: &WorkerContext,
    given: &Given<'_>,
    fault: Fault,
    span: Span,
) -> Result<Answer, Error> {
    tracing::warn!(
        code = fault.code,
        "an attempt failed after its lease had expired"
    );
    let next = Next::RetryAt(Timestamp::now());
    let verdict = request::Verdict::Failed { fault, next };
    report_verdict(context, given, &span, verdict).await?;
    context.counted.late.inc();
    Ok(Answer::Leave)
}
