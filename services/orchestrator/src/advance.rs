//! Decisions: commits the waiting reports, and as many steps as follow from them.

use domain::request::{
    Advance, Command, Decision, GroupIndex, Rejection, Report, RequestId, Sequence, Steps, Then,
    decide,
};
use jiff::Timestamp;
use nats::{Advanced, ExecuteError};
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
        steps: None,
        now: Timestamp::now(),
        rules: context.rules,
    };
    let mut needed = steps_needed(context, request, &advance).await?;
    // The lock is held until the outcome of the steps is known. Nobody else may see results in the
    // document that may differ from the recorded ones.
    let mut held = Held(None);
    for _ in 0..STEPS_RETRIES {
        if let Some(next) = needed.take() {
            let work = held.lock(context, request).await;
            let steps = steps(context, request, work, next, &advance.reports).await;
            advance.steps = Some(match steps {
                Ok(steps) => steps,
                Err(Error::Fails(failure)) => Steps::failing(next, *failure),
                Err(error) => return Err(error),
            });
        }
        match context.log.advance(request, advance.clone()).await {
            Ok(Advanced::NeedsSteps(next)) => needed = Some(next),
            Err(ExecuteError::Refused(Rejection::Unknown)) => {
                tracing::warn!(%request, "the log does not have the request of a report");
                return Ok(());
            }
            Err(ExecuteError::Refused(rejection)) => return Err(rejection.into()),
            Err(ExecuteError::Log(error)) => return Err(Error::of_log(error)),
            Ok(Advanced::Done(receipt)) => {
                // If another process committed first, the results that these steps put into the
                // document may differ from the recorded ones.
                let as_worked_out = receipt.committed && receipt.at_once;
                if as_worked_out && !advance.steps.as_ref().is_some_and(ends) {
                    held.keep();
                }
                if context.log.let_go_of_ended(request, receipt.sequence).await {
                    context.forget_work(request);
                }
                return Ok(());
            }
        }
    }
    Err(Error::Later("the request kept changing meanwhile".into()))
}

/// The locked work of a request. Unless it is kept, it is reset when the lock is released.
struct Held(Option<OwnedMutexGuard<Work>>);

impl Held {
    async fn lock(&mut self, context: &Context, request: RequestId) -> &mut Work {
        let guard = match self.0.take() {
            Some(guard) => guard,
            None => context.work(request).lock_owned().await,
        };
        self.0.insert(guard)
    }

    /// The steps took effect, so the document is that of the request.
    fn keep(mut self) {
        if let Some(mut work) = self.0.take() {
            work.let_go_above(KEPT_MAX_BYTES);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(work) = &mut self.0 {
            **work = Work::default();
        }
    }
}

/// Whether a request ends with these steps, so that its document is no longer needed.
fn ends(steps: &Steps) -> bool {
    matches!(steps.then, Then::Response(_) | Then::Failure(_))
}

/// The group from which steps are needed, if any. A group can end only if there are at least as
/// many reports as open tasks. Checking this here keeps a decision that is bound to be refused away
/// from the log.
async fn steps_needed(
    context: &Context,
    request: RequestId,
    advance: &Advance,
) -> Result<Option<GroupIndex>, Error> {
    let loaded = context.load_since(request, Sequence::NONE).await?;
    let running = loaded
        .state()
        .request()
        .and_then(|request| request.running());
    let open = running.map(|group| group.size() - group.succeeded - group.failed);
    if open.is_none_or(|open| (advance.reports.len() as u64) < u64::from(open)) {
        return Ok(None);
    }
    match decide(loaded.state(), Command::Advance(advance.clone())) {
        Ok(Decision::NeedsSteps(next)) => Ok(Some(next)),
        _ => Ok(None),
    }
}

/// Works out the steps from group `next` on. The group before it ends with these reports.
async fn steps(
    context: &Context,
    request: RequestId,
    work: &mut Work,
    next: GroupIndex,
    reports: &[Report],
) -> Result<Steps, Error> {
    let ending = {
        let loaded = context.load_since(request, Sequence::NONE).await?;
        let Some(state) = loaded.state().request() else {
            return Err(Error::Refused(Rejection::Unknown));
        };
        work.bring_up(context, request, state).await?;
        state.ending_results(reports)
    };
    work.steps(context, request, next, ending).await
}
