//! Reading and storing the payloads of an attempt. An unavailable payload is a failure of the
//! system and not an attempt of the task. The worker therefore retries, under the lease, for as
//! long as it holds the task.

use domain::FailureCode;
use std::time::Duration;

use bytes::Bytes;
use domain::request::Payload;
use nats::Error;
use tokio::time::Instant;

use crate::WorkerContext;
use crate::attempt::Given;
use crate::executor::Fault;

/// The first pause before an access to a payload is retried; each further pause doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why an attempt has no result.
pub enum Unfinished {
    /// The attempt failed.
    Failed(Fault),
    /// The attempt was not made or its result could not be stored, and the worker is about to end,
    /// has lost the task, or has waited for too long.
    GivenBack(Error),
}

impl From<Fault> for Unfinished {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// Whether the executor has run. A worker that is about to end gives back only what has not begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Executed {
    No,
    Yes,
}

/// Reads the task document.
pub async fn document(context: &WorkerContext, given: &Given<'_>) -> Result<Bytes, Unfinished> {
    match &given.task.document {
        Payload::Inline(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        stored @ Payload::Stored { .. } => Box::pin(fetched(context, given, stored)).await,
    }
}

async fn fetched(
    context: &WorkerContext,
    given: &Given<'_>,
    stored: &Payload,
) -> Result<Bytes, Unfinished> {
    let fetch = || context.payloads.fetch(stored);
    let bytes = match fetch().await {
        Ok(bytes) => bytes,
        Err(error) => again(context, given, Executed::No, error, fetch).await?,
    };
    Ok(bytes.into())
}

/// Stores a result.
pub async fn keep(
    context: &WorkerContext,
    given: &Given<'_>,
    result: Bytes,
) -> Result<Payload, Unfinished> {
    let place = || context.payloads.place(result.clone());
    match place().await {
        Ok(payload) => Ok(payload),
        Err(error) => Box::pin(again(context, given, Executed::Yes, error, place)).await,
    }
}

/// Retries until the broker returns or stores the payload, or refuses permanently, for as long as
/// the worker has the task.
async fn again<T, F: Future<Output = Result<T, Error>>>(
    context: &WorkerContext,
    given: &Given<'_>,
    executed: Executed,
    mut error: Error,
    trying: impl Fn() -> F,
) -> Result<T, Unfinished> {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match &error {
            Error::Missing(_) => return Err(lost(FailureCode::PayloadMissing, &error)),
            Error::Corrupt { .. } => return Err(lost(FailureCode::PayloadUnreadable, &error)),
            Error::TooLarge { .. } => return Err(lost(FailureCode::PayloadTooLarge, &error)),
            _ => tracing::warn!(%error, ?pause, "a payload is not available yet"),
        }
        if !given.lease.is_held() || begun.elapsed() > context.broker_patience {
            return Err(Unfinished::GivenBack(error));
        }
        tokio::select! {
            goes_on = context.shutdown.pause(pause), if executed == Executed::No => if !goes_on {
                return Err(Unfinished::GivenBack(error));
            },
            () = tokio::time::sleep(pause), if executed == Executed::Yes => {}
            () = given.cancelled.cancelled() => return Err(Fault::cancelled().into()),
        }
        error = match trying().await {
            Ok(there) => return Ok(there),
            Err(error) => error,
        };
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// The fault for a permanently unavailable payload: any further attempt would fail in the same way.
fn lost(code: FailureCode, error: &Error) -> Unfinished {
    Unfinished::Failed(Fault::permanent(code, error.to_string()))
}

#[cfg(test)]
mod tests;
