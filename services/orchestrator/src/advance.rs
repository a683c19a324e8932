//! Deciding: commits the reports at hand and as many steps as follow from them.

use domain::request::{Advance, Command, Rejection, Report, RequestId, Step, decide};
use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use crate::context::Context;
use crate::error::Error;
use crate::memory_budget::KEPT_MAX_BYTES;
use crate::work::Work;

/// How often the steps are recomputed because another commit moved the request on.
const STEPS_RETRIES: u32 = 5;

/// Advances a request as far as its document allows.
pub async fn without_reports(context: &Context, request: RequestId) -> Result<(), Error> {
    with_reports(context, request, Vec::new()).await
}

/// Commits the reports and the steps that follow from them. The steps are computed only when the
/// decision asks for them, because most reports end no group.
pub async fn with_reports(
    context: &Context,
    request: RequestId,
    reports: Vec<Report>,
) -> Result<(), Error> {
    let mut advance = Advance {
        reports,
        steps: Vec::new(),
        from: 0,
        now: Timestamp::now(),
        rules: context.rules,
    };
    let mut needed = steps_needed(context, request, &advance).await?;
    // The lock is held until the outcome of the steps is known. Nobody else may see results in the
    // document that may differ from the recorded ones.
    let mut worked: Option<OwnedMutexGuard<Work>> = None;
    for _ in 0..STEPS_RETRIES {
        if let Some(next) = needed.take() {
            let mut work = match worked.take() {
                Some(work) => work,
                None => context.work(request).lock_owned().await,
            };
            let steps = steps(context, request, &mut work, next, &advance.reports).await;
            advance.from = next;
            advance.steps = match steps {
                Ok(steps) => steps,
                Err(Error::Fails(failure)) => vec![Step::Failure(*failure)],
                Err(error) => {
                    *work = Work::default();
                    return Err(error);
                }
            };
            worked = Some(work);
        }
        let command = Command::Advance(advance.clone());
        match context.execute(request, command).await {
            Err(Error::Refused(Rejection::StepsNeeded(next))) => needed = Some(next),
            Err(Error::Refused(Rejection::Unknown)) => {
                tracing::warn!(%request, "a report for a request that is not in the log");
                return Ok(());
            }
            Ok(receipt) => {
                // If another process committed first, the results that these steps put into the
                // document may differ from the recorded ones.
                let as_worked_out = receipt.committed && receipt.at_once;
                if let Some(mut work) = worked {
                    if as_worked_out && !ends(&advance.steps) {
                        work.let_go_above(KEPT_MAX_BYTES);
                    } else {
                        *work = Work::default();
                    }
                }
                return Ok(());
            }
            Err(error) => {
                if let Some(mut work) = worked {
                    *work = Work::default();
                }
                return Err(error);
            }
        }
    }
    if let Some(mut work) = worked {
        *work = Work::default();
    }
    Err(Error::Later("the request kept going on meanwhile".into()))
}

/// Whether a request ends with these steps, so that its document is no longer needed.
fn ends(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::Response(_) | Step::Failure(_)))
}

/// The group from which steps are needed, if any. A group can end only if there are at least as
/// many reports as open tasks. Checking this here keeps a decision that is bound to be refused away
/// from the log.
async fn steps_needed(
    context: &Context,
    request: RequestId,
    advance: &Advance,
) -> Result<Option<u32>, Error> {
    let loaded = context.load_since(request, 0).await?;
    let running = loaded
        .state()
        .request()
        .and_then(|request| request.running());
    let open = running.map(|group| group.size() - group.succeeded - group.failed);
    if open.is_none_or(|open| (advance.reports.len() as u64) < u64::from(open)) {
        return Ok(None);
    }
    match decide(loaded.state(), Command::Advance(advance.clone())) {
        Err(Rejection::StepsNeeded(next)) => Ok(Some(next)),
        _ => Ok(None),
    }
}

/// Computes the steps from group `next` on. The group before it ends with these reports.
async fn steps(
    context: &Context,
    request: RequestId,
    work: &mut Work,
    next: u32,
    reports: &[Report],
) -> Result<Vec<Step>, Error> {
    let results = {
        let loaded = context.load_since(request, 0).await?;
        let Some(state) = loaded.state().request() else {
            return Err(Error::Refused(Rejection::Unknown));
        };
        work.bring_up(context, request, state).await?;
        state.ending_results(reports)
    };
    if let Some(results) = results {
        if !work.has_group(next) {
            let response = work.response_with(context, &results).await?;
            return Ok(vec![place(context, response).await?]);
        }
        work.put_results(context, &results).await?;
    }
    follow(context, request, work, next).await
}

async fn place(context: &Context, response: Vec<u8>) -> Result<Step, Error> {
    let response = context.payloads.place(response.into()).await?;
    Ok(Step::Response(response))
}

async fn follow(
    context: &Context,
    request: RequestId,
    work: &mut Work,
    mut next: u32,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    loop {
        if !work.has_group(next) {
            steps.push(place(context, work.response(context).await?).await?);
            return Ok(steps);
        }
        let name = work.group_name(next);
        let tasks = work.count_tasks(context, request, next).await?;
        steps.push(Step::Group { name, tasks });
        if tasks > 0 {
            return Ok(steps);
        }
        work.put_results(context, &[]).await?;
        next += 1;
    }
}
