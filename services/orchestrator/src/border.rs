//! The border: a worker of somebody's own may report anything as a result. What could not be put
//! into a document is a failed attempt, as it is where the shipped worker finds it, and not the
//! failure of the request when its results are put together.

use std::sync::Arc;
use std::time::Duration;

use domain::document::{InvalidResult, Limits, check_result};
use domain::request::{
    Attempt, Fault, Next, Outcome, Payload, Report, RequestId, Retry, Verdict, chance,
};
use jiff::Timestamp;
use nats::DeadLetter;
use runtime::{PARSE_INLINE_MAX_BYTES, Unfinished};

use crate::context::Context;
use crate::dispatch::{self, Made};
use crate::error::Error;
use crate::work::cost;

/// No task is sent again sooner: its worker answers the message meanwhile, which would still be
/// there before.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Whether a report has a result that is to be looked at before it is recorded. Only this
/// process's own worker is believed to have looked: what another one says of itself may be wrong,
/// and a result that cannot be put together would end its request for good.
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

/// Makes failed attempts of those whose result cannot be used.
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

/// What is wrong with a result.
struct Unusable {
    fault: Fault,
    retry: Retry,
}

impl Unusable {
    fn new(code: &str, message: String, retry: Retry) -> Self {
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
    let bytes = match context.payloads.fetch(result).await {
        Ok(bytes) => bytes,
        // Another attempt may store it as it should be.
        Err(error @ nats::Error::Missing(_)) => {
            return Ok(Some(not_there("payload-missing", &error)));
        }
        Err(error @ nats::Error::Corrupt { .. }) => {
            return Ok(Some(not_there("payload-unreadable", &error)));
        }
        Err(error) => return Err(error.into()),
    };
    let cost = cost(bytes.len());
    let looking = move || check_result(&bytes, &limits);
    match context.pool.run(cost, looking).await {
        Ok(looked_at) => Ok(looked_at.err().map(Into::into)),
        Err(error @ Unfinished::Ended) => Err(error.into()),
        Err(error @ (Unfinished::Panicked | Unfinished::Endless)) => Ok(Some(Unusable::new(
            "result-invalid",
            error.to_string(),
            Retry::Never,
        ))),
    }
}

fn not_there(code: &str, error: &nats::Error) -> Unusable {
    Unusable::new(code, format!("the result: {error}"), Retry::ByPolicy)
}

/// Makes a failed attempt of a report, with what follows from it.
async fn refuse(
    context: &Arc<Context>,
    request: RequestId,
    outcome: &mut Outcome,
    unusable: Unusable,
) -> Result<(), Error> {
    let Unusable { fault, retry } = unusable;
    let (group, task) = (outcome.group, outcome.task);
    tracing::warn!(
        %request, group, task, worker = outcome.worker, code = fault.code,
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
            let (told, next) = next(context, made, told, retry).await?;
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
        // It decides nothing of the run that is under way. Its message may have been that run's.
        Some(_) => Next::DispatchAt(after(AGAIN_AFTER)),
        None => Next::RetryAt(Timestamp::now()),
    };
    outcome.verdict = Verdict::Failed { fault, next };
    Ok(())
}

fn is_of_this_run(outcome: &Outcome, made: &Made) -> bool {
    let attempts = made.attempts;
    outcome.run.is_none_or(|run| run == attempts.run) && outcome.attempt > attempts.earlier
}

fn after(delay: Duration) -> Timestamp {
    Timestamp::now()
        .checked_add(delay)
        .unwrap_or(Timestamp::MAX)
}

/// What follows from an attempt by the policy of its type. Where the task was given up before, what
/// its dead letter tells of is what is told.
async fn next(
    context: &Context,
    made: Made,
    told: Attempt,
    retry: Retry,
) -> Result<(Attempt, Next), Error> {
    let task_type = context.task_types.of(made.document.name.as_deref());
    let policy = context.task_types.get(task_type).map(|of| &of.retry);
    let failed = told.attempt - made.attempts.earlier;
    let by_chance = chance(made.id, told.attempt);
    let delay = policy.and_then(|policy| policy.delay(failed, &told.fault.code, retry, by_chance));
    if let Some(delay) = delay {
        return Ok((told, Next::DispatchAt(after(delay.max(AGAIN_AFTER)))));
    }
    let letter = DeadLetter {
        task: made.id,
        run: made.attempts.run,
        task_type: task_type.to_owned(),
        document: context.payloads.place(made.document.xml.into()).await?,
        attempts: vec![told.clone()],
        sequence: None,
        truncated: false,
    };
    let mut kept = context.dead_letters.keep(letter).await?;
    let next = Next::DeadLetter(kept.id());
    Ok((kept.attempts.pop().unwrap_or(told), next))
}
