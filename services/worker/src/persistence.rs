//! Steps that need the broker. What the broker cannot take now is no failure of the task: the step is
//! tried again under the lease, and the executor is not run again for it.

use std::time::Duration;

use nats::Error;
use tokio::time::Instant;

use crate::WorkerContext;
use crate::lease::Lease;

/// The first pause before a step is tried again; each further pause doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Tries a step until the broker has done it, refuses it for good, or the lease is lost. After
/// [`WorkerContext::broker_patience`] the worker gives up.
pub async fn persist<T, F: Future<Output = Result<T, Error>>>(
    context: &WorkerContext,
    lease: &Lease<'_>,
    step: impl Fn() -> F,
) -> Result<T, Error> {
    match step().await {
        Ok(done) => Ok(done),
        Err(error) => Box::pin(again(context, lease, error, step)).await,
    }
}

async fn again<T, F: Future<Output = Result<T, Error>>>(
    context: &WorkerContext,
    lease: &Lease<'_>,
    mut error: Error,
    step: impl Fn() -> F,
) -> Result<T, Error> {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    if may_pass(&error) {
        tracing::warn!(%error, "the broker cannot do a step of an attempt; the worker tries again while it holds the task");
    }
    while may_pass(&error) && lease.is_held() && begun.elapsed() < context.broker_patience {
        tokio::time::sleep(pause).await;
        error = match step().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    Err(error)
}

/// Whether the step may succeed later. A permission that is missing is given by an operator, and
/// the task need not be executed again for it.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::Denied(_) | Error::Refused(_))
}
