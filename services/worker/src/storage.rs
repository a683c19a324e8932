//! Payloads of an attempt. One that is not to be had is the system's failure and no attempt of the
//! task: it is tried again, under the lease, for as long as the task is this worker's.

use std::time::Duration;

use bytes::Bytes;
use domain::request::Payload;
use nats::Error;
use tokio_util::sync::CancellationToken;

use crate::WorkerContext;
use crate::executor::Fault;

/// The pause before a payload is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why an attempt has no result.
pub enum Unfinished {
    /// It failed.
    Failed(Fault),
    /// It was not made, or its result could not be kept, and the worker is to end.
    GivenBack(Error),
}

impl From<Fault> for Unfinished {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// The task document.
pub async fn document(
    context: &WorkerContext,
    document: &Payload,
    cancelled: &CancellationToken,
) -> Result<Bytes, Unfinished> {
    match document {
        Payload::Inline(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        stored @ Payload::Stored { .. } => Box::pin(fetched(context, stored, cancelled)).await,
    }
}

async fn fetched(
    context: &WorkerContext,
    stored: &Payload,
    cancelled: &CancellationToken,
) -> Result<Bytes, Unfinished> {
    let fetch = || context.payloads.fetch(stored);
    let bytes = match fetch().await {
        Ok(bytes) => bytes,
        Err(error) => again(context, cancelled, error, fetch).await?,
    };
    Ok(bytes.into())
}

/// Keeps a result.
pub async fn keep(
    context: &WorkerContext,
    result: Bytes,
    cancelled: &CancellationToken,
) -> Result<Payload, Unfinished> {
    let place = || context.payloads.place(result.clone());
    match place().await {
        Ok(payload) => Ok(payload),
        Err(error) => Box::pin(again(context, cancelled, error, place)).await,
    }
}

/// Tries again until the broker gives or takes the payload, or says for good that it does not.
async fn again<T, F: Future<Output = Result<T, Error>>>(
    context: &WorkerContext,
    cancelled: &CancellationToken,
    mut error: Error,
    trying: impl Fn() -> F,
) -> Result<T, Unfinished> {
    let mut pause = FIRST_PAUSE;
    loop {
        match &error {
            Error::Missing(_) => return Err(lost("payload-missing", &error)),
            Error::Corrupt { .. } => return Err(lost("payload-unreadable", &error)),
            Error::TooLarge { .. } => return Err(lost("payload-too-large", &error)),
            _ => tracing::warn!(%error, ?pause, "a payload is not to be had yet"),
        }
        tokio::select! {
            goes_on = context.shutdown.pause(pause) => if !goes_on {
                return Err(Unfinished::GivenBack(error));
            },
            () = cancelled.cancelled() => return Err(Fault::cancelled().into()),
        }
        error = match trying().await {
            Ok(there) => return Ok(there),
            Err(error) => error,
        };
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// It cannot be had whoever tries: another attempt of this task finds the same.
fn lost(code: &str, error: &Error) -> Unfinished {
    Unfinished::Failed(Fault::permanent(code, error.to_string()))
}

#[cfg(test)]
mod tests;
