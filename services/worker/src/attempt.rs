//! One attempt of one task: execute, report, answer the message, in that order, so that
//! whatever is lost between two of them only happens again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::document::{Limits, check_result};
use domain::request::{Attempt, Fault, LONG_DELAY, Next, Outcome, Payload, Verdict};
use jiff::Timestamp;
use nats::{DeadLetter, Error, TaskMessage, Unreadable};
use tokio_util::sync::CancellationToken;

use crate::Bench;
use crate::executor::{self, Retry};
use crate::judge::{self, Judgement};

/// The pause before a task comes again whose outcome could not be reported.
const UNREPORTED_PAUSE: Duration = Duration::from_secs(1);

/// When an attempt was, for its report.
struct Span {
    started_at: Timestamp,
    duration_ms: u64,
}

/// Runs an attempt to its end and answers the message.
pub async fn run(bench: &Bench, task: TaskMessage, cancelled: &CancellationToken) {
    let done = match judge::exhausted(bench, &task) {
        Some(fault) => {
            let span = Span {
                started_at: Timestamp::now(),
                duration_ms: 0,
            };
            give_up(bench, &task, fault, span).await
        }
        None => execute(bench, &task, cancelled).await,
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
    let result = keep_lease(bench, task, produce(bench, task, cancelled)).await;
    let span = Span {
        started_at,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    match result {
        Ok(result) => succeed(bench, task, result, span).await,
        Err(fault) if cancelled.is_cancelled() => {
            tracing::info!(task = %task.id, code = fault.code, "stopped");
            task.delivery.terminate().await
        }
        Err(fault) => fail(bench, task, fault, span).await,
    }
}

/// Shows signs of life for as long as the attempt goes on; the time limit is the executor's.
async fn keep_lease<T>(bench: &Bench, task: &TaskMessage, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(bench.lease / 3, &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                if let Err(error) = task.delivery.in_progress().await {
                    tracing::debug!(task = %task.id, %error, "no sign of life could be sent");
                }
            }
        }
    }
}

async fn produce(
    bench: &Bench,
    task: &TaskMessage,
    cancelled: &CancellationToken,
) -> Result<Payload, executor::Fault> {
    let storage = |error: Error| {
        executor::Fault::transient("payload-unavailable", "a payload is not to be had")
            .because(error.to_string())
    };
    let document = match &task.document {
        Payload::Inline(text) => Bytes::copy_from_slice(text.as_bytes()),
        stored @ Payload::Stored { .. } => {
            bench.payloads.fetch(stored).await.map_err(storage)?.into()
        }
    };
    let attempt = executor::Task {
        request_id: task.id.request.to_string(),
        task_type: task.task_type.clone(),
        group: task.id.group,
        task: task.id.task,
        attempt: task.attempt,
        document,
    };
    let limit = bench.task_type.time_limit;
    let result = bench.executor.execute(&attempt, limit, cancelled).await?;
    check_result(&result, &Limits::default())
        .map_err(|error| executor::Fault::permanent("result-invalid", error.to_string()))?;
    bench.payloads.place(&result).await.map_err(storage)
}

fn outcome(bench: &Bench, task: &TaskMessage, span: &Span, verdict: Verdict) -> Outcome {
    Outcome {
        group: task.id.group,
        task: task.id.task,
        attempt: task.attempt,
        worker: bench.worker.clone(),
        started_at: span.started_at,
        duration_ms: span.duration_ms,
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
    let delay = match judge::next(bench, task, &fault.code, retry) {
        Judgement::GiveUp => return give_up(bench, task, fault, span).await,
        Judgement::Again(delay) => delay,
    };
    tracing::info!(
        task = %task.id, attempt = task.attempt, code = fault.code, ?delay, "failed; comes again"
    );
    let at = Timestamp::now()
        .checked_add(delay)
        .unwrap_or(Timestamp::MAX);
    let verdict = Verdict::Failed {
        fault,
        next: Next::RetryAt(at),
    };
    let outcome = outcome(bench, task, &span, verdict);
    bench.reports.outcome(task.id.request, outcome).await?;
    if delay > LONG_DELAY {
        // The orchestrator sets a timer that has it dispatched again.
        task.delivery.ack().await
    } else {
        task.delivery.nak(delay).await
    }
}

/// Keeps the dead letter, reports, and only then ends the message: each awaited, so that
/// whatever is lost between them is done again.
async fn give_up(bench: &Bench, task: &TaskMessage, fault: Fault, span: Span) -> Result<(), Error> {
    tracing::warn!(
        task = %task.id, attempt = task.attempt, code = fault.code, "given up: {}", fault.message
    );
    let letter = DeadLetter {
        task: task.id,
        task_type: task.task_type.clone(),
        document: task.document.clone(),
        last: Attempt {
            attempt: task.attempt,
            worker: bench.worker.clone(),
            started_at: span.started_at,
            duration_ms: span.duration_ms,
            fault: fault.clone(),
        },
    };
    let letter = bench.dead_letters.keep(&letter).await?;
    let verdict = Verdict::Failed {
        fault,
        next: Next::DeadLetter(letter),
    };
    let outcome = outcome(bench, task, &span, verdict);
    bench.reports.outcome(task.id.request, outcome).await?;
    task.delivery.terminate().await
}

/// A task message that cannot be read blocks nothing.
pub async fn set_aside(bench: &Bench, unreadable: &Unreadable) {
    tracing::error!(error = %unreadable.error, "a task is set aside");
    let kept = bench
        .dead_letters
        .set_aside(&unreadable.delivery, &unreadable.error)
        .await;
    let answered = match kept {
        Ok(()) => unreadable.delivery.terminate().await,
        Err(_) => unreadable.delivery.nak(UNREPORTED_PAUSE).await,
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "it comes again");
    }
}
