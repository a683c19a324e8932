//! The border check on results from foreign workers, which may report anything. A result that does
//! not fit into a document becomes a failed attempt, as it does in the shipped worker. Otherwise
//! the whole request would fail when its results are put together.

use domain::FailureCode;
use std::sync::Arc;
use std::time::Duration;

use domain::document::{InvalidResult, Limits, check_result};
use domain::request::{
    Attempt, Fault, Next, Outcome, Payload, Report, RequestId, Retry, Verdict, chance,
};
use jiff::Timestamp;
use nats::DeadLetter;
use runtime::{Cost, PARSE_INLINE_MAX_BYTES, Unfinished};

use crate::context::Context;
use crate::dispatch::{self, Made};
use crate::error::Error;

/// The shortest delay before a refused task is dispatched again. The worker is still answering the
/// old message, and the broker would drop a new one as its duplicate until that message is gone.
pub const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Whether this process must check the result of a report before it records the report. It trusts
/// only its own worker to have checked: a foreign worker may claim so wrongly, and a result that
/// cannot be put into the document would end its request for good.
pub fn is_foreign(context: &Context, report: &Report) -> bool {
    let Report::Outcome(outcome) = report else {
        return false;
    };
    let Verdict::Succeeded(result) = &outcome.verdict else {
        return false;
    };
    let own = context.own_worker.as_deref() == Some(outcome.worker.as_str());
    !(own && outcome.checked) || result.size() > context.result_max_bytes as u64
}

/// Turns every report with an unusable result into a failed attempt.
pub async fn refuse_unusable(
    context: &Arc<Context>,
    request: RequestId,
    reports: &mut [Report],
) -> Result<(), Error> {
    for report in reports {
        if !is_foreign(context, report) {
            continue;
        }
        let Report::Outcome(outcome) = report else {
            continue;
        };
        let Verdict::Succeeded(result) = &outcome.verdict else {
            continue;
        };
        if let Some(unusable) = look_at(context, result).await? {
            refuse(context, request, outcome, unusable).await?;
        }
    }
    Ok(())
}

/// A result that cannot be used: the fault to report, and whether a retry may help.
struct Unusable {
    fault: Fault,
    retry: Retry,
}

impl Unusable {
    fn new(code: FailureCode, message: String, retry: Retry) -> Self {
        let mut fault = Fault {
            code: code.into(),
            message,
            causes: Vec::new(),
        };
        fault.bound();
        Self { fault, retry }
    }
}

impl From<InvalidResult> for Unusable {
    fn from(error: InvalidResult) -> Self {
        Self::new(error.code(), error.to_string(), Retry::Never)
    }
}

async fn look_at(context: &Context, result: &Payload) -> Result<Option<Unusable>, Error> {
    let limits = Limits {
        max_result_bytes: context.result_max_bytes,
        ..Limits::default()
    };
    if result.size() > context.result_max_bytes as u64 {
        return Ok(Some(InvalidResult::TooBig(context.result_max_bytes).into()));
    }
    if let Some(text) = result.inline()
        && text.len() <= PARSE_INLINE_MAX_BYTES
    {
        return Ok(check_result(text.as_bytes(), &limits).err().map(Into::into));
    }
    let bytes = match context.bytes_of(result).await {
        Ok(bytes) => bytes,
        // Another attempt may store the result correctly.
        Err(error @ nats::Error::Missing(_)) => {
            return Ok(Some(not_there(FailureCode::PayloadMissing, &error)));
        }
        Err(error @ nats::Error::Corrupt { .. }) => {
            return Ok(Some(not_there(FailureCode::PayloadUnreadable, &error)));
        }
        Err(error) => return Err(error.into()),
    };
    let cost = Cost::of_bytes(bytes.len());
    let looking = move || check_result(&bytes, &limits);
    match context.pool.run(cost, looking).await {
        Ok(looked_at) => Ok(looked_at.err().map(Into::into)),
        Err(error @ Unfinished::Ended) => Err(error.into()),
        Err(error @ (Unfinished::Panicked | Unfinished::Endless)) => Ok(Some(Unusable::new(
            FailureCode::ResultInvalid,
            error.to_string(),
            Retry::Never,
        ))),
    }
}

fn not_there(code: FailureCode, error: &nats::Error) -> Unusable {
    Unusable::new(code, format!("the result: {error}"), Retry::ByPolicy)
}

/// Turns a report into a failed attempt and decides how the task continues.
async fn refuse(
    context: &Arc<Context>,
    request: RequestId,
    outcome: &mut Outcome,
    unusable: Unusable,
) -> Result<(), Error> {
    let Unusable { fault, retry } = unusable;
    let (group, task) = (outcome.group, outcome.task);
    tracing::warn!(
        %request, group = group.get(), task = task.get(), worker = outcome.worker, code = fault.code,
        "a result is refused: {}", fault.message
    );
    let open = dispatch::open_task(context, request, group, task).await?;
    let next = match open {
        Some(made) if is_of_this_run(outcome, &made) => {
            let told = Attempt {
                attempt: outcome.attempt,
                worker: outcome.worker.clone(),
                started_at: outcome.started_at,
                duration_ms: outcome.duration_ms,
                fault,
            };
            let (told, next) = next(context, made, outcome, told, retry).await?;
            outcome.attempt = told.attempt;
            outcome.worker = told.worker;
            outcome.started_at = told.started_at;
            outcome.duration_ms = told.duration_ms;
            outcome.verdict = Verdict::Failed {
                fault: told.fault,
                next,
            };
            return Ok(());
        }
        // The outcome belongs to an earlier run and decides nothing in the current one. But its
        // message may have been the current run's message, so the task is dispatched again.
        Some(_) => Next::DispatchAt(after(outcome, AGAIN_AFTER)),
        None => Next::RetryAt(after(outcome, Duration::ZERO)),
    };
    outcome.verdict = Verdict::Failed { fault, next };
    Ok(())
}

fn is_of_this_run(outcome: &Outcome, made: &Made) -> bool {
    let attempts = made.attempts;
    outcome.run.is_none_or(|run| run == attempts.run) && outcome.attempt > attempts.earlier
}

/// The time of another attempt, by the clock of the worker: only the time since the end of the
/// attempt counts.
pub fn after(outcome: &Outcome, delay: Duration) -> Timestamp {
    let ran = Duration::from_millis(outcome.duration_ms);
    outcome
        .started_at
        .checked_add(ran.saturating_add(delay))
        .unwrap_or(Timestamp::MAX)
}

/// Decides by the policy of the task type how a task continues after an attempt. If the task
/// already has a dead letter, the attempt in that letter is the one to report.
async fn next(
    context: &Context,
    made: Made,
    outcome: &Outcome,
    told: Attempt,
    retry: Retry,
) -> Result<(Attempt, Next), Error> {
    let task_type = context.task_type(&made.origin.tenant, made.document.name.as_deref());
    let policy = context.task_types.get(task_type).map(|of| &of.retry);
    let failed = made.failures.saturating_add(1);
    let by_chance = chance(made.id, told.attempt);
    let delay = policy.and_then(|policy| policy.delay(failed, &told.fault.code, retry, by_chance));
    if let Some(delay) = delay {
        return Ok((
            told,
            Next::DispatchAt(after(outcome, delay.max(AGAIN_AFTER))),
        ));
    }
    let letter = DeadLetter {
        task: made.id,
        run: made.attempts.run,
        task_type: task_type.to_owned(),
        tenant: made.origin.tenant,
        document: context.place(made.document.xml).await?,
        attempts: vec![told.clone()],
        sequence: None,
        truncated: false,
        exhausted: false,
    };
    let mut kept = context.dead_letters.keep(letter).await?;
    let next = Next::DeadLetter(kept.id());
    Ok((kept.attempts.pop().unwrap_or(told), next))
}
