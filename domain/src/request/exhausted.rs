//! A second look at tasks that are given up because their attempts are used up. A worker counts the
//! deliveries of a task. That is more than its attempts where a delivery was given back or ended
//! without a report. The recorded failures decide.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    GroupIndex, Outcome, Report, Request, RequestId, Retry, RetryPolicy, TaskId, TaskNumber,
    TaskState, Verdict, chance,
};

/// The places of the reports that give up a task although it has attempts left, each with the delay
/// before the next attempt.
pub fn given_up_early<'a>(
    id: RequestId,
    request: &Request,
    reports: &[Report],
    policy: impl Fn(&Outcome) -> Option<&'a RetryPolicy>,
) -> Vec<(usize, Duration)> {
    // Failures among these reports that stand before a report.
    let mut before: HashMap<(GroupIndex, TaskNumber), u32> = HashMap::new();
    let mut early = Vec::new();
    for (place, report) in reports.iter().enumerate() {
        let Report::Outcome(outcome) = report else {
            continue;
        };
        if !matches!(outcome.verdict, Verdict::Failed { .. }) {
            continue;
        }
        if task_of(request, outcome).is_none() {
            continue;
        }
        let more = before.entry((outcome.group, outcome.task)).or_default();
        if outcome.exhausted
            && let Some(policy) = policy(outcome)
            && let Some(delay) = delay(id, request, outcome, *more, policy)
        {
            early.push((place, delay));
        }
        *more += 1;
    }
    early
}

/// The task of an outcome, if the task has not ended and the outcome belongs to its present run and
/// was not recorded before. A recorded report may name the letter of a later attempt.
fn task_of<'a>(request: &'a Request, outcome: &Outcome) -> Option<&'a TaskState> {
    let running = request.running();
    let running = running.filter(|running| running.index == outcome.group)?;
    let task = running.task(outcome.task)?;
    let open = matches!(task, TaskState::Pending { .. });
    let of_this_run = outcome.run.is_none_or(|run| run == request.run)
        && outcome.attempt > task.earlier_attempts();
    let recorded = task.has_failed(outcome.attempt, outcome.started_at);
    (open && of_this_run && !recorded).then_some(task)
}

/// The delay before the next attempt, if the task has attempts left.
fn delay(
    request_id: RequestId,
    request: &Request,
    outcome: &Outcome,
    more: u32,
    policy: &RetryPolicy,
) -> Option<Duration> {
    let Verdict::Failed { fault, .. } = &outcome.verdict else {
        return None;
    };
    let task = task_of(request, outcome)?;
    let id = TaskId {
        request: request_id,
        group: outcome.group,
        task: outcome.task,
    };
    let failed = task.failures().saturating_add(more).saturating_add(1);
    let by_chance = chance(id, outcome.attempt);
    // The worker has found that the fault allows another attempt.
    policy.delay(failed, &fault.code, Retry::ByPolicy, by_chance)
}
