//! Queue recovery: refills queues that lost their content. It applies the effects of every commit
//! of each open request again. Applying effects twice is harmless, so every instance may do this.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::request::{Event, RequestId, Sequence};
use nats::{Connection, Filling, Quarantine, Queues, Scan};
use runtime::Shutdown;
use tokio::sync::mpsc;

use crate::contain;
use crate::context::Context;
use crate::error::Error;
use crate::outbox::pause_before;

/// How often an instance checks whether the queues were lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many requests wait for the outbox at once, which leaves the outbox room for commits.
pub const AT_ONCE: usize = 32;
/// How many commits are scanned before the next are requested.
const SCANNED_AT_ONCE: usize = 1_000;
/// How often progress is logged.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The name of a recovery among the suspects.
const FILLING: &str = "filling";

/// A request of which the queues may have lost tasks or timers.
pub struct Lost {
    pub request: RequestId,
    /// The last known commit of the request. The recovery must include its effects.
    pub sequence: Sequence,
    /// Whether recovering this request may have ended a process before.
    pub again: bool,
    done: mpsc::Sender<(RequestId, bool)>,
}

impl Lost {
    /// Restores the request's tasks and timers, as far as they are still needed.
    pub async fn put_back(self, context: &Arc<Context>) {
        let done = contain::lost(context, &self).await;
        let settled = match done {
            Ok(()) => true,
            // The outbox stores the unreadable commit as a dead letter when it processes it.
            Err(error @ (Error::Unreadable(_) | Error::Refused(_))) => {
                tracing::error!(request = %self.request, %error, "could not recover the tasks of a request");
                true
            }
            Err(error) => {
                tracing::debug!(request = %self.request, %error, "cannot recover the tasks of a request yet");
                false
            }
        };
        // A receiver that is gone is about to start over.
        let _ = self.done.send((self.request, settled)).await;
    }
}

/// Keeps the queues filled.
pub struct QueueRecovery {
    pub connection: Connection,
    pub queues: Queues,
    /// The marks of recoveries. After a recovery that ended its process, the next one runs each
    /// request under a mark.
    pub suspects: Quarantine,
    /// The outbox of each shard.
    pub lost: Vec<mpsc::Sender<Lost>>,
}

/// The open requests, each with its last commit.
type Open = HashMap<RequestId, Sequence>;

impl QueueRecovery {
    /// Finishes the recovery that has begun, and then keeps checking for lost queues.
    pub async fn run(self, mut filling: Option<Filling>, shutdown: Shutdown) {
        loop {
            if let Some(begun) = filling.take() {
                tokio::select! {
                    filled = self.fill_marked(&begun) => match filled {
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
            filling = begin_where_lost(&self.queues).await;
        }
    }

    /// Fills the queues under a mark. A mark that is found says that an earlier recovery never
    /// ended.
    async fn fill_marked(&self, filling: &Filling) -> Result<bool, nats::Error> {
        let begun = self.suspects.begin(FILLING, None).await?;
        let filled = self.fill(filling, begun.lost > 0).await;
        self.suspects.end(begun).await;
        filled
    }

    /// Puts back everything that the log wants in the queues. Returns `false` if the queues were
    /// lost again meanwhile.
    async fn fill(&self, filling: &Filling, again: bool) -> Result<bool, nats::Error> {
        let begun = Instant::now();
        let mut requests = 0;
        for (shard, outbox) in (0..).zip(&self.lost) {
            let open = self.open_requests(shard, filling.end(shard)).await?;
            if !open.is_empty() {
                tracing::warn!(
                    shard,
                    requests = open.len(),
                    "the queues lost messages: recovering them from the log"
                );
            }
            requests += open.len();
            if !put_all_back(outbox, open, filling, again).await? {
                return Ok(false);
            }
        }
        let filled = filling.done().await?;
        if filled {
            tracing::info!(requests, took = ?begun.elapsed(), "recovered the queues");
        }
        Ok(filled)
    }

    /// The requests of a shard that had not ended at commit `end`.
    async fn open_requests(&self, shard: u8, end: Sequence) -> Result<Open, nats::Error> {
        let mut open = Open::new();
        let mut said = Instant::now();
        let mut scan = Scan::open(&self.connection, shard, Sequence::FIRST, end).await?;
        while let Some(commits) = scan.next_each(SCANNED_AT_ONCE).await? {
            for commit in commits.iter().flatten() {
                if commit.is_terminal() {
                    open.remove(&commit.request);
                } else if let Some(sequence) = open.get_mut(&commit.request) {
                    *sequence = commit.sequence;
                } else if starts(&commit.events) {
                    open.insert(commit.request, commit.sequence);
                }
            }
            if let (true, Some(Ok(last))) = (said.elapsed() > SAY_EVERY, commits.last()) {
                said = Instant::now();
                tracing::info!(
                    shard,
                    sequence = last.sequence.get(),
                    "queue recovery looks for open requests"
                );
            }
        }
        Ok(open)
    }
}

/// Whether a request is open after these events. A later commit would hold its end.
fn starts(events: &[Event]) -> bool {
    let start = |event: &Event| matches!(event, Event::Received(_) | Event::Redriven(_));
    events.iter().any(start)
}

/// Begins a recovery if the queues were lost. If the check fails, the caller checks again later.
pub async fn begin_where_lost(queues: &Queues) -> Option<Filling> {
    match queues.begin_where_lost().await {
        Ok(filling) => filling,
        Err(error) => {
            tracing::warn!(%error, "the queues cannot be checked or recovered yet");
            None
        }
    }
}

/// Puts back the tasks and timers of these requests, in as many rounds as it takes. Returns `false`
/// if the queues were lost again meanwhile. A request that cannot be put back delays the mark that
/// completes the recovery, but no other request.
async fn put_all_back(
    outbox: &mpsc::Sender<Lost>,
    mut open: Open,
    filling: &Filling,
    again: bool,
) -> Result<bool, nats::Error> {
    let mut times = 1;
    loop {
        put_back(outbox, &mut open, again).await?;
        if open.is_empty() {
            return Ok(true);
        }
        let pause = pause_before(times);
        tracing::warn!(
            requests = open.len(),
            ?pause,
            "cannot recover the tasks of all requests yet"
        );
        tokio::time::sleep(pause).await;
        if !filling.is_there().await? {
            return Ok(false);
        }
        times += 1;
    }
}

/// Has the outbox put back these requests. Those that it could not put back stay in `open`.
async fn put_back(
    outbox: &mpsc::Sender<Lost>,
    open: &mut Open,
    again: bool,
) -> Result<(), nats::Error> {
    let ended = |_| nats::Error::Unavailable("the outbox ended".into());
    let (done, mut dones) = mpsc::channel(AT_ONCE);
    let all: Vec<(RequestId, Sequence)> = open.iter().map(|(id, last)| (*id, *last)).collect();
    let of = all.len();
    let send = async move {
        for (request, sequence) in all {
            let done = done.clone();
            let lost = Lost {
                request,
                sequence,
                again,
                done,
            };
            outbox.send(lost).await.map_err(ended)?;
        }
        Ok(())
    };
    let wait = async {
        let mut said = Instant::now();
        while let Some((request, settled)) = dones.recv().await {
            if settled {
                open.remove(&request);
            }
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                tracing::info!(left = open.len(), of, "recovering the queues");
            }
        }
        Ok(())
    };
    tokio::try_join!(send, wait).map(|_| ())
}
