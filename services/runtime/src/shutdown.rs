use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two stages in which a process ends. A soft end takes nothing new and finishes the work in
/// progress. A hard end drops that work, and the broker redelivers it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// A process that has not been asked to end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the soft end.
    pub fn soft(&self) {
        self.soft.cancel();
    }

    /// Begins the hard end.
    pub fn hard(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether the soft end has begun.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits until the soft end begins.
    pub async fn softly(&self) {
        self.soft.cancelled().await;
    }

    /// Waits until the hard end begins.
    pub async fn hardly(&self) {
        self.hard.cancelled().await;
    }

    /// Runs `work`, unless the hard end comes first.
    pub async fn unless_hard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.hard.run_until_cancelled(work).await
    }

    /// Waits for `pause`, or until the soft end begins. Returns whether to go on.
    pub async fn pause(&self, pause: Duration) -> bool {
        let slept = self.soft.run_until_cancelled(tokio::time::sleep(pause));
        slept.await.is_some()
    }

    /// Takes over the signals, and returns a future that acts on them. The first SIGINT, SIGTERM or
    /// SIGHUP begins the soft end. A second one, or the end of `grace`, begins the hard end.
    pub fn on_signals(self, grace: Duration) -> std::io::Result<impl Future<Output = ()> + use<>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // The terminal was closed, or its session ended.
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
