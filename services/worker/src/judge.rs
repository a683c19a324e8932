//! Whether and when a failed attempt is followed by another: the policy of the task type.

use std::time::Duration;

use domain::request::{self, Fault};
use nats::TaskMessage;

use crate::Bench;
use crate::executor::Retry;

pub enum Judgement {
    /// After this delay.
    Again(Duration),
    /// Never.
    GiveUp,
}

/// A delivery beyond the last attempt is not executed: the workers of the attempts before it
/// died, or lost their leases, without a report.
pub fn exhausted(bench: &Bench, task: &TaskMessage) -> Option<Fault> {
    let most = bench.task_type.retry.attempts;
    (of_this_run(task) > most).then(|| Fault {
        code: "attempts-exhausted".into(),
        message: format!("the last of its {most} attempts ended without a report"),
        causes: vec![
            "the worker of the last attempt died, or was silent for longer than its lease".into(),
        ],
    })
}

/// The number of the attempt since the request was last redriven, from 1.
pub fn of_this_run(task: &TaskMessage) -> u32 {
    task.attempt.saturating_sub(task.earlier_attempts)
}

pub fn next(bench: &Bench, task: &TaskMessage, code: &str, retry: Retry) -> Judgement {
    let retry = match retry {
        Retry::Never => request::Retry::Never,
        Retry::ByPolicy => request::Retry::ByPolicy,
        Retry::After(delay) => request::Retry::After(delay),
    };
    let policy = &bench.task_type.retry;
    match policy.delay(of_this_run(task), code, retry, chance(task)) {
        Some(delay) => Judgement::Again(delay),
        None => Judgement::GiveUp,
    }
}

/// A number from 0 to 1 that differs from task to task and from attempt to attempt: tasks that
/// failed together are not tried again together.
fn chance(task: &TaskMessage) -> f64 {
    let seed = task.id.request.uuid().as_u128().to_be_bytes();
    let hash = seed
        .into_iter()
        .chain(task.id.task.to_be_bytes())
        .chain(task.attempt.to_be_bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    f64::from(hash) / f64::from(u32::MAX)
}
