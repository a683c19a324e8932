//! Whether and when a failed attempt is retried, by the policy of the task type.

use domain::FailureCode;
use std::time::Duration;

use domain::request::{self, Fault};
use nats::{ALONE_MAX, Begun, Mark, TaskMessage};

use crate::WorkerContext;
use crate::executor::Retry;

pub enum RetryDecision {
    /// Retry after this delay.
    Again(Duration),
    /// Do not retry. `exhausted` says that only the number of attempts speaks against it.
    GiveUp { exhausted: bool },
}

/// The fault of a convicted task. Workers died of the task or its siblings; the last of them ran no
/// other suspect at the time.
pub fn convicted(begun: &Begun) -> Fault {
    let cause = begun.found.as_ref().map(|mark| {
        let Mark { by, at, .. } = mark;
        format!("the last of these workers was {by}, at {at}, and its log may say why")
    });
    let times = begun.lost;
    Fault {
        code: FailureCode::AttemptsExhausted.into(),
        message: format!(
            "workers of this request's tasks died {times} times in a row without a report, \
             {ALONE_MAX} times with nothing beside them that was suspected too"
        ),
        causes: cause.into_iter().collect(),
    }
}

/// The number of the attempt within this run, from 1.
pub fn of_this_run(task: &TaskMessage) -> u32 {
    task.attempt.since(task.earlier_attempts)
}

/// Decides about a retry. A worker knows how often the task was delivered, and not how often it
/// failed: deliveries that were given back are among them. So its count is an upper bound. The
/// orchestrator, which has the recorded failures, checks a task that is given up as exhausted.
/// The `lost` attempts that died with their worker do not count as failed.
pub fn next(
    context: &WorkerContext,
    task: &TaskMessage,
    lost: u32,
    code: &str,
    retry: Retry,
) -> RetryDecision {
    let retry = match retry {
        Retry::Never => request::Retry::Never,
        Retry::ByPolicy => request::Retry::ByPolicy,
        Retry::After(delay) => request::Retry::After(delay),
    };
    let policy = &context.task_type.retry;
    let failed = of_this_run(task).saturating_sub(lost).max(1);
    match policy.delay(failed, code, retry, request::chance(task.id, task.attempt)) {
        Some(delay) => RetryDecision::Again(delay),
        None => RetryDecision::GiveUp {
            exhausted: policy.may_retry(code, retry),
        },
    }
}
