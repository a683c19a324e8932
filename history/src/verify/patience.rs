//! Patience with a Redis that answers slowly: a verification of a whole log lasts long, and one late
//! answer is no reason to begin it again.

use std::time::Duration;

use projections::Error;

/// How often a question is asked that Redis has not answered.
const TRIES: u32 = 10;
/// The pause before it is asked again. It is longer than a connection that was not answered refuses
/// to ask.
const PAUSE: Duration = Duration::from_millis(1_200);

/// Asks until Redis answers, or until it has been asked often enough.
pub async fn patiently<T, F: Future<Output = Result<T, Error>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, Error> {
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "Redis is asked again");
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
    ask().await
}
