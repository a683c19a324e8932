//! Starting while the broker is not ready.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::Shutdown;

/// How long a step of a start is tried again, before the start fails. A cluster elects its leaders
/// in seconds; the rest is for servers that are being restarted.
const START_PATIENCE: Duration = Duration::from_mins(5);
/// The pause before such a step is tried again.
const START_PAUSE: Duration = Duration::from_secs(1);

impl Shutdown {
    /// Tries a step of a start again while its error may pass, for five minutes at most, and says so.
    /// A process that is asked to end returns the last error.
    pub async fn patiently<T, E, F>(
        &self,
        passes: impl Fn(&E) -> bool,
        step: impl Fn() -> F,
    ) -> Result<T, E>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        loop {
            let tried = step().await;
            let Err(error) = &tried else {
                return tried;
            };
            if !passes(error) || begun.elapsed() >= START_PATIENCE {
                return tried;
            }
            tracing::warn!(
                error = format!("{error:#}"),
                "the broker is not ready for this start, which goes on waiting"
            );
            if !self.pause(START_PAUSE).await {
                return tried;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_five_minutes_for_what_may_pass_and_not_at_all_for_what_may_not() {
        let shutdown = Shutdown::new();
        let begun = Instant::now();
        let tries = Cell::new(0);
        let fails = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>("no leader")
        };
        let ended = shutdown.patiently(|_| false, fails).await;
        assert_eq!((ended, tries.get()), (Err("no leader"), 1));
        let ended = shutdown.patiently(|_| true, fails).await;
        assert_eq!(ended, Err("no leader"));
        let waited = begun.elapsed();
        assert!(waited >= START_PATIENCE && waited < START_PATIENCE + 2 * START_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_on_once_the_step_succeeds() {
        let tries = Cell::new(0);
        let third = || async {
            tries.set(tries.get() + 1);
            (tries.get() == 3).then_some(3).ok_or("no leader")
        };
        let ended = Shutdown::new().patiently(|_| true, third).await;
        assert_eq!(ended, Ok(3));
    }
}
