//! Filling the queues where they lost what they held: what follows from the commits of every
//! request that has not ended is done once more. Doing it twice is harmless, so that every
//! instance may do it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::request::{Event, RequestId};
use nats::{Connection, Filling, Queues, Scan};
use runtime::Shutdown;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::effects;
use crate::error::Error;

/// How often it is looked whether the queues lost what they held.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many requests wait for the outbox at once.
pub const AT_ONCE: usize = 256;
/// How many commits are looked at before the next are asked for.
const SCANNED_AT_ONCE: usize = 1_000;
/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A request of which the queues may have lost something.
pub struct Lost {
    pub request: RequestId,
    done: mpsc::Sender<bool>,
}

impl Lost {
    /// Puts its tasks and timers back where they are wanted.
    pub async fn put_back(self, context: &Arc<Context>) {
        let done = effects::of_open(context, self.request).await;
        let settled = match done {
            Ok(()) => true,
            Err(Error::Later(reason)) => {
                tracing::debug!(request = %self.request, reason, "cannot be put back yet");
                false
            }
            // Its own commits are set aside or end it where they are taken in.
            Err(error) => {
                tracing::error!(request = %self.request, %error, "cannot be put back");
                true
            }
        };
        // Who does not wait any more is about to begin anew.
        let _ = self.done.send(settled).await;
    }
}

/// Keeps the queues filled.
pub struct Fill {
    pub connection: Connection,
    pub queues: Queues,
    /// The outbox of each shard.
    pub lost: Vec<mpsc::Sender<Lost>>,
}

impl Fill {
    /// Fills what has been begun, and then looks again and again.
    pub async fn run(self, mut filling: Option<Filling>, shutdown: Shutdown) {
        loop {
            if let Some(begun) = filling.take() {
                tokio::select! {
                    filled = self.fill(begun) => match filled {
                        Ok(true) => {}
                        Ok(false) => tracing::warn!("a queue was lost again meanwhile"),
                        Err(error) => tracing::warn!(%error, "filling the queues is tried again"),
                    },
                    () = shutdown.softly() => return,
                }
            }
            if !shutdown.pause(LOOK_EVERY).await {
                return;
            }
            filling = match self.queues.begin_where_lost().await {
                Ok(filling) => filling,
                Err(error) => {
                    tracing::debug!(%error, "the queues cannot be looked at");
                    None
                }
            };
        }
    }

    /// Puts back what the log wants in the queues; false where they were lost meanwhile.
    async fn fill(&self, filling: Filling) -> Result<bool, nats::Error> {
        let begun = Instant::now();
        let mut requests = 0;
        for (shard, outbox) in (0..).zip(&self.lost) {
            let open = self.open_requests(shard).await?;
            if !open.is_empty() {
                tracing::warn!(
                    shard,
                    requests = open.len(),
                    "the queues lost what they held: putting it back from the log"
                );
            }
            requests += open.len();
            let failed = put_back(outbox, &open).await?;
            if failed > 0 {
                let reason = format!("{failed} requests cannot be put back yet");
                return Err(nats::Error::Unavailable(reason));
            }
        }
        let filled = filling.done().await?;
        if filled {
            tracing::info!(requests, took = ?begun.elapsed(), "the queues are filled");
        }
        Ok(filled)
    }

    /// The requests of a shard that have not ended.
    async fn open_requests(&self, shard: u8) -> Result<HashSet<RequestId>, nats::Error> {
        let mut open = HashSet::new();
        let mut said = Instant::now();
        let mut scan = Scan::open(&self.connection, shard, 1, u64::MAX).await?;
        while let Some(commits) = scan.next_each(SCANNED_AT_ONCE).await? {
            for commit in commits.iter().flatten() {
                if commit.is_terminal() {
                    open.remove(&commit.request);
                } else if starts(&commit.events) {
                    open.insert(commit.request);
                }
            }
            if let (true, Some(Ok(last))) = (said.elapsed() > SAY_EVERY, commits.last()) {
                said = Instant::now();
                tracing::info!(shard, sequence = last.sequence, "looking for open requests");
            }
        }
        Ok(open)
    }
}

/// Whether a request runs after these events: others come before its end.
fn starts(events: &[Event]) -> bool {
    let start = |event: &Event| matches!(event, Event::Received(_) | Event::Redriven(_));
    events.iter().any(start)
}

/// Has the outbox put back what is wanted of these requests, and waits until it has tried; says
/// of how many that could not be done.
async fn put_back(
    outbox: &mpsc::Sender<Lost>,
    open: &HashSet<RequestId>,
) -> Result<usize, nats::Error> {
    let ended = |_| nats::Error::Unavailable("the outbox ended".into());
    let (done, mut dones) = mpsc::channel(AT_ONCE);
    let send = async move {
        for request in open.iter().copied() {
            let done = done.clone();
            outbox.send(Lost { request, done }).await.map_err(ended)?;
        }
        Ok(())
    };
    let wait = async {
        let (mut tried, mut failed) = (0, 0);
        let mut said = Instant::now();
        while let Some(put_back) = dones.recv().await {
            tried += 1;
            failed += usize::from(!put_back);
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                tracing::info!(tried, of = open.len(), failed, "filling the queues");
            }
        }
        Ok(failed)
    };
    let ((), failed) = tokio::try_join!(send, wait)?;
    Ok(failed)
}
