use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process is asked to end: softly first (take nothing new, finish what is held), then
/// hard (drop what is held: the broker delivers it again).
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// A process that nobody has asked to end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to finish.
    pub fn soft(&self) {
        self.soft.cancel();
    }

    /// Asks to drop everything.
    pub fn hard(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether nothing new is to be taken.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits until nothing new is to be taken.
    pub async fn softly(&self) {
        self.soft.cancelled().await;
    }

    /// Waits until what is held is to be dropped.
    pub async fn hardly(&self) {
        self.hard.cancelled().await;
    }

    /// Runs `work`, unless everything is to be dropped first.
    pub async fn unless_hard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.hard.run_until_cancelled(work).await
    }

    /// Waits `pause`, less when nothing new is to be taken; says whether it is to go on.
    pub async fn pause(&self, pause: Duration) -> bool {
        let slept = self.soft.run_until_cancelled(tokio::time::sleep(pause));
        slept.await.is_some()
    }

    /// Takes the signals over, and gives what is to be run to act on them: the first SIGINT, SIGTERM
    /// or SIGHUP is a soft end, and a second one, or the end of `grace`, a hard one.
    pub fn on_signals(self, grace: Duration) -> std::io::Result<impl Future<Output = ()> + use<>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Its terminal was closed, or its session ended.
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(async move {
            let asked = tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                _ = hangup.recv() => true,
                () = self.softly() => false,
            };
            self.soft();
            if asked {
                tracing::info!(
                    grace_ms = grace.as_millis(),
                    "stopping; once more to stop at once"
                );
            }
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                () = tokio::time::sleep(grace) => {}
                () = self.hardly() => {}
            }
            self.hard();
        })
    }
}
