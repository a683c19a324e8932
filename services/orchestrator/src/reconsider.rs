//! A second look at tasks that workers give up because the attempts are used up, by their count.

use domain::request::{Next, Outcome, Report, RequestId, RetryPolicy, Verdict, given_up_early};

use crate::border::{AGAIN_AFTER, after};
use crate::context::Context;
use crate::error::Error;

/// Whether a report gives up a task by its worker's count of attempts.
pub fn is_exhausted(report: &Report) -> bool {
    matches!(report, Report::Outcome(outcome) if outcome.exhausted)
}

/// Turns each such report, of a task that has attempts left, into a failure that is tried again.
/// The dead letter is withdrawn first: otherwise the next worker would find it and report it.
pub async fn given_up(
    context: &Context,
    request: RequestId,
    reports: &mut [Report],
) -> Result<(), Error> {
    let early = {
        let loaded = context.load_current(request).await?;
        match loaded.state().request() {
            Some(state) => given_up_early(request, state, reports, |of| policy(context, of)),
            None => Vec::new(),
        }
    };
    for (place, delay) in early {
        let Some(Report::Outcome(outcome)) = reports.get_mut(place) else {
            continue;
        };
        let due = after(outcome, delay.max(AGAIN_AFTER));
        let Verdict::Failed { next, .. } = &mut outcome.verdict else {
            continue;
        };
        if let Next::DeadLetter(letter) = &next {
            tracing::info!(
                %request, letter, attempt = outcome.attempt.get(),
                "a task that was given up has attempts left, and is sent again"
            );
            context.dead_letters.withdraw(letter).await?;
        }
        *next = Next::DispatchAt(due);
        outcome.exhausted = false;
    }
    Ok(())
}

fn policy<'a>(context: &'a Context, outcome: &Outcome) -> Option<&'a RetryPolicy> {
    let task_type = outcome.given.as_ref()?.task_type.as_str();
    context.task_types.get(task_type).map(|of| &of.retry)
}
