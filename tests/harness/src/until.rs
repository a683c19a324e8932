use std::time::{Duration, Instant};

/// How long a test waits for a state that must come.
pub const LIMIT: Duration = Duration::from_mins(1);
/// How often the state is checked.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for a state. Fails the test with the name of the state if the state does not come.
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

/// Waits for a value and returns it. Fails the test if the value does not come.
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
