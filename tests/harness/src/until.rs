use std::time::{Duration, Instant};

/// How long a test waits for a state that must come.
pub const LIMIT: Duration = Duration::from_mins(1);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a state is there; fails the test, naming it, when it does not come.
#[track_caller]
pub fn until<F: Future<Output = bool>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let begun = Instant::now();
        while !look().await {
            assert!(
                begun.elapsed() < LIMIT,
                "{place}: not within {LIMIT:?}: {what}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits until something is there and gives it; fails the test when it does not come.
#[track_caller]
pub fn until_some<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "{place}: not within {LIMIT:?}: {what}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}
