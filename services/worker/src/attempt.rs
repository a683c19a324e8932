//! One attempt of one task: execute, report, answer the message, in that order, so that
//! whatever is lost between two of them only happens again.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use domain::document::{Limits, check_result};
use domain::request::{Fault, Next, Outcome, Payload, Verdict};
use jiff::Timestamp;
use nats::{Error, TaskMessage};
use tokio_util::sync::CancellationToken;

use crate::executor::{self, Retry};
use crate::judge::{self, Judgement};
use crate::storage::{self, Unfinished};
use crate::{Bench, given_up};

/// The pause before a task comes again whose outcome could not be reported.
pub const UNREPORTED_PAUSE: Duration = Duration::from_secs(1);

/// When an attempt was, for its report, and whether the task was still this worker's then.
pub struct Span {
    pub started_at: Timestamp,
    pub duration_ms: u64,
    lease: Lease,
}

/// Whether a worker holds its task.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lease {
    Held,
    /// It was silent for too long: the broker may have given the task to another worker.
    Lost,
}

/// Runs an attempt to its end and answers the message.
pub async fn run(bench: &Bench, task: TaskMessage, cancelled: &CancellationToken) {
    let done = match given_up::settled(bench, &task).await {
        Ok(Some(letter)) => Box::pin(given_up::report_again(bench, &task, &letter)).await,
        Ok(None) => match judge::exhausted(bench, &task) {
            Some(fault) => Box::pin(given_up::give_up(bench, &task, fault, Span::none())).await,
            None => execute(bench, &task, cancelled).await,
        },
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::warn!(task = %task.id, attempt = task.attempt, %error, "not reported; comes again");
        if let Err(error) = task.delivery.nak(UNREPORTED_PAUSE).await {
            tracing::debug!(%error, "not even that could be said; its lease will end");
        }
    }
}

async fn execute(
    bench: &Bench,
    task: &TaskMessage,
    cancelled: &CancellationToken,
) -> Result<(), Error> {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    let producing = pin!(produce(bench, task, cancelled));
    let (result, lease) = keep_lease(bench, task, producing).await;
    let span = Span {
        started_at,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        lease,
    };
    match result {
        Ok(result) => succeed(bench, task, result, span).await,
        Err(Unfinished::GivenBack(error)) => Err(error),
        Err(Unfinished::Failed(fault)) if cancelled.is_cancelled() => {
            tracing::info!(task = %task.id, code = fault.code, "stopped");
            task.delivery.terminate().await
        }
        Err(Unfinished::Failed(fault)) => Box::pin(fail(bench, task, fault, span)).await,
    }
}

impl Span {
    /// Of an attempt that was not made.
    fn none() -> Self {
        Self {
            started_at: Timestamp::now(),
            duration_ms: 0,
            lease: Lease::Held,
        }
    }
}

/// Shows signs of life for as long as the attempt goes on; the time limit is the executor's. A
/// process that was stopped for a while learns here that its lease may be over.
async fn keep_lease<T>(
    bench: &Bench,
    task: &TaskMessage,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> (T, Lease) {
    let mut lease = Lease::Held;
    let mut heard = Instant::now();
    loop {
        let done = tokio::time::timeout(bench.lease / 3, &mut work).await;
        if heard.elapsed() >= bench.lease {
            lease = Lease::Lost;
        }
        if let Ok(done) = done {
            return (done, lease);
        }
        match task.delivery.in_progress().await {
            Ok(()) => heard = Instant::now(),
            Err(error) => tracing::debug!(task = %task.id, %error, "no sign of life could be sent"),
        }
    }
}

async fn produce(
    bench: &Bench,
    task: &TaskMessage,
    cancelled: &CancellationToken,
) -> Result<Payload, Unfinished> {
    let document = storage::document(bench, &task.document, cancelled).await?;
    let attempt = executor::Task {
        request_id: task.id.request.to_string(),
        task_type: task.task_type.clone(),
        group: task.id.group,
        task: task.id.task,
        attempt: task.attempt,
        traceparent: task.traceparent.as_ref().map(ToString::to_string),
        document,
    };
    let limit = bench.task_type.time_limit;
    let result = bench.executor.execute(&attempt, limit, cancelled).await?;
    check_result(&result, &Limits::default())
        .map_err(|error| executor::Fault::permanent("result-invalid", error.to_string()))?;
    storage::keep(bench, result, cancelled).await
}

fn outcome(bench: &Bench, task: &TaskMessage, span: &Span, verdict: Verdict) -> Outcome {
    Outcome {
        group: task.id.group,
        task: task.id.task,
        run: Some(task.run),
        attempt: task.attempt,
        worker: bench.worker.clone(),
        started_at: span.started_at,
        duration_ms: span.duration_ms,
        given: Some(task.given()),
        verdict,
    }
}

async fn succeed(
    bench: &Bench,
    task: &TaskMessage,
    result: Payload,
    span: Span,
) -> Result<(), Error> {
    let outcome = outcome(bench, task, &span, Verdict::Succeeded(result));
    bench.reports.outcome(task.id.request, outcome).await?;
    task.delivery.ack().await
}

async fn fail(
    bench: &Bench,
    task: &TaskMessage,
    fault: executor::Fault,
    span: Span,
) -> Result<(), Error> {
    let retry: Retry = fault.retry;
    let fault = Fault {
        code: fault.code,
        message: fault.message,
        causes: fault.causes,
    };
    if span.lease == Lease::Lost {
        return fail_without_lease(bench, task, fault, span).await;
    }
    let delay = match judge::next(bench, task, &fault.code, retry) {
        Judgement::GiveUp => return given_up::give_up(bench, task, fault, span).await,
        Judgement::Again(delay) => delay,
    };
    tracing::info!(
        task = %task.id, attempt = task.attempt, code = fault.code, ?delay, "failed; comes again"
    );
    let at = Timestamp::now()
        .checked_add(delay)
        .unwrap_or(Timestamp::MAX);
    let long = delay > bench.long_delay;
    let next = if long {
        Next::DispatchAt(at)
    } else {
        Next::RetryAt(at)
    };
    let outcome = outcome(bench, task, &span, Verdict::Failed { fault, next });
    bench.reports.outcome(task.id.request, outcome).await?;
    if long {
        // The orchestrator sets a timer that has it dispatched again.
        task.delivery.ack().await
    } else {
        task.delivery.nak(delay).await
    }
}

/// The task is with another worker by now, whose attempt is what counts: this one is only
/// recorded, and the message is not this worker's to answer.
async fn fail_without_lease(
    bench: &Bench,
    task: &TaskMessage,
    fault: Fault,
    span: Span,
) -> Result<(), Error> {
    tracing::warn!(
        task = %task.id, attempt = task.attempt, code = fault.code, "failed after its lease"
    );
    let next = Next::RetryAt(Timestamp::now());
    let outcome = outcome(bench, task, &span, Verdict::Failed { fault, next });
    bench.reports.outcome(task.id.request, outcome).await
}
