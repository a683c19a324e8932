//! The reconciler of a shard. Where this instance holds the shard, it looks at the open requests
//! again and again, and has the outbox put back what the queues have lost. What nobody noticed is
//! then late and not lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::request::{RequestId, Sequence};
use nats::{Checkpoint, Connection, Holder, LogReader, Quarantine, Queues, QueuesState, Scan};
use runtime::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::context::Context;
use crate::open_requests::{Looked, Open};
use crate::outbox::pause_before;
use crate::queue_recovery::{AT_ONCE, Found, Lost};
use crate::sampler::Standing;

/// How often an instance checks the queues and who holds a shard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how many such checks it looks for deleted consumers.
const CONSUMERS_EVERY: u32 = 5;
/// How many commits are read at once.
const READ_AT_ONCE: usize = 1_000;

/// Keeps the queues and their consumers in place, and tells the reconcilers when messages may be
/// missing.
pub struct QueueWatch {
    pub queues: Queues,
    pub state: watch::Sender<QueuesState>,
}

impl QueueWatch {
    pub async fn run(self, shutdown: Shutdown) {
        let mut checks: u32 = 0;
        while shutdown.pause(LOOK_EVERY).await {
            checks = checks.wrapping_add(1);
            if let Some(state) = look(&self.queues).await {
                self.state.send_if_modified(|known| {
                    let changed = *known != state;
                    *known = state;
                    changed
                });
            }
            if checks.is_multiple_of(CONSUMERS_EVERY)
                && let Err(error) = self.queues.restore_consumers().await
            {
                tracing::debug!(%error, "the consumers cannot be checked yet");
            }
        }
    }
}

/// Looks at the queues. If the check fails, the caller checks again later.
pub async fn look(queues: &Queues) -> Option<QueuesState> {
    match queues.look().await {
        Ok(state) => Some(state),
        Err(error) => {
            tracing::warn!(%error, "the queues cannot be checked yet");
            None
        }
    }
}

/// The reconciler of one shard.
pub struct Reconciler {
    pub context: Arc<Context>,
    pub connection: Connection,
    pub queues: Queues,
    pub shard: u8,
    /// The outbox of the shard.
    pub outbox: mpsc::Sender<Lost>,
    pub state: watch::Receiver<QueuesState>,
    /// The marks of recoveries. After a recovery that ended its process, the next one runs each
    /// request under a mark.
    pub suspects: Quarantine,
    /// How often all open requests are looked at.
    pub every: Duration,
    /// Tells what the broker last said of the shard.
    pub standing: watch::Sender<Standing>,
}

/// What a reconciler knows from one check to the next.
#[derive(Default)]
struct Memory {
    /// The queues at the last round that found everything in place.
    whole: QueuesState,
    /// When the next round is due; `None` if this instance does not hold the shard.
    due: Option<Instant>,
    /// How many rounds after a loss have left something undone.
    undone: u32,
    checkpoint: Checkpoint,
    acked: Sequence,
}

impl Reconciler {
    pub async fn run(self, shutdown: Shutdown) {
        let mut memory = Memory::default();
        let every = LOOK_EVERY.min(self.every);
        loop {
            match shutdown
                .unless_hard(Box::pin(self.check(&mut memory, &shutdown)))
                .await
            {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(shard = self.shard, %error, "the open requests cannot be checked yet");
                }
            }
            if !shutdown.pause(every).await {
                return;
            }
        }
    }

    async fn check(&self, memory: &mut Memory, shutdown: &Shutdown) -> Result<(), nats::Error> {
        let Some(holder) = self.connection.holder(self.shard).await? else {
            return self.restore_consumer(memory).await;
        };
        memory.acked = holder.acked;
        let held = holder.pinned.as_deref();
        let is_mine = |pin| self.context.open.is_pinned(self.shard, pin);
        self.standing.send_replace(Standing {
            holds: held.is_none_or(is_mine),
            delivered: holder.delivered,
        });
        if !held.is_none_or(is_mine) {
            memory.due = None;
            return Ok(());
        }
        let state = self.state.borrow().clone();
        let lost = state != memory.whole;
        let now = Instant::now();
        if memory.due.is_some_and(|due| due > now) && !(lost && memory.undone == 0) {
            return Ok(());
        }
        memory.due = Some(now + self.every);
        let undone = self.round((&holder, lost), memory, shutdown).await?;
        self.context.metrics.orchestrator.round.took(now.elapsed());
        if undone == 0 {
            (memory.whole, memory.undone) = (state, 0);
        } else if lost {
            memory.undone += 1;
            memory.due = Some(now + pause_before(memory.undone).min(self.every));
        }
        self.store_checkpoint(memory).await
    }

    /// Creates the log consumer again. It begins after the last commit that was known to be acked.
    async fn restore_consumer(&self, memory: &mut Memory) -> Result<(), nats::Error> {
        let which = (self.shard, LogReader::Orchestrator);
        let topology = self.queues.topology();
        topology
            .restore_log_consumer(&self.connection, which, memory.acked)
            .await?;
        memory.due = None;
        Ok(())
    }

    /// Looks at all open requests. After a loss, every one is looked at closely. Returns how many
    /// could not be put back.
    async fn round(
        &self,
        (holder, lost): (&Holder, bool),
        memory: &mut Memory,
        shutdown: &Shutdown,
    ) -> Result<usize, nats::Error> {
        let (open, begun) = (&self.context.open, Instant::now());
        self.catch_up(holder.delivered, memory).await?;
        if lost {
            open.doubt_all(self.shard);
        }
        if open.is_empty(self.shard) {
            return Ok(0);
        }
        let shards = self.context.log.shards();
        let counts = self.connection.queue_counts(self.shard, shards).await?;
        let quiet_since = Instant::now().checked_sub(self.every / 2);
        let doubtful = open.which(self.shard, |request, open| {
            let count = counts.get(&request).copied().unwrap_or(0);
            let moving = !lost && quiet_since.is_some_and(|since| open.heard_at > since);
            open.heard <= holder.delivered && !moving && is_doubtful(open, count)
        });
        if doubtful.is_empty() {
            return Ok(0);
        }
        let mark = self
            .suspects
            .begin(format!("filling-{}", self.shard), None)
            .await?;
        let again = mark.lost > 0;
        let left = doubtful.len();
        let looked = tokio::select! {
            looked = self.look_closely(doubtful, holder, again) => looked,
            () = shutdown.softly() => Ok((0, left)),
        };
        // A mark that stays says that this process ended by one of these requests.
        self.suspects.end(mark).await;
        let (put_back, undone) = looked?;
        if put_back > 0 {
            tracing::warn!(
                shard = self.shard,
                requests = put_back,
                undone,
                took = ?begun.elapsed(),
                "recovered the queues"
            );
        }
        Ok(undone)
    }

    /// Reads the headers of the commits that this instance was not given.
    async fn catch_up(&self, end: Sequence, memory: &mut Memory) -> Result<(), nats::Error> {
        let open = &self.context.open;
        if memory.checkpoint == Checkpoint::default() {
            memory.checkpoint = self.connection.checkpoint(self.shard).await?;
            open.begin(self.shard, &memory.checkpoint);
        }
        while let Some((from, to)) = open.gap(self.shard, end) {
            let mut scan = Scan::outlines(&self.connection, self.shard, from, to).await?;
            while let Some(outlines) = scan.next_outlines(READ_AT_ONCE).await? {
                open.read(self.shard, &outlines);
            }
            open.known_up_to(self.shard, to);
        }
        Ok(())
    }

    /// Has the outbox look at these requests, each in its turn. Returns how many lacked something,
    /// and how many could not be looked at.
    async fn look_closely(
        &self,
        requests: Vec<(RequestId, Sequence)>,
        holder: &Holder,
        again: bool,
    ) -> Result<(usize, usize), nats::Error> {
        let (done, mut dones) = mpsc::channel(AT_ONCE);
        let heard: HashMap<RequestId, Sequence> = requests.iter().copied().collect();
        let send = async move {
            for (request, sequence) in requests {
                let lost = Lost {
                    request,
                    sequence,
                    again,
                    acked: sequence <= holder.acked,
                    done: done.clone(),
                };
                let ended = |_| nats::Error::Unavailable("the outbox ended".into());
                self.outbox.send(lost).await.map_err(ended)?;
            }
            Ok(())
        };
        let wait = async {
            let (mut put_back, mut undone) = (0, 0);
            while let Some((request, found)) = dones.recv().await {
                put_back += usize::from(found == Found::PutBack);
                undone += usize::from(found == Found::Later);
                self.context.metrics.orchestrator.reconciled(found.word());
                let heard = heard.get(&request).copied().unwrap_or_default();
                self.note(request, heard, found);
            }
            Ok((put_back, undone))
        };
        tokio::try_join!(send, wait).map(|((), counts)| counts)
    }

    fn note(&self, request: RequestId, heard: Sequence, found: Found) {
        let (open, shard) = (&self.context.open, self.shard);
        match found {
            Found::Ended => open.ended(shard, request, heard),
            Found::Whole(messages) => open.change(shard, request, |open| {
                open.unreadable = false;
                open.looked = Some(Looked { heard, messages });
            }),
            Found::Moving(sequence) => open.change(shard, request, |open| {
                open.heard = open.heard.max(sequence);
            }),
            Found::Unreadable => open.change(shard, request, |open| open.unreadable = true),
            Found::PutBack | Found::Later => {
                open.change(shard, request, |open| open.unreadable = false);
            }
        }
    }

    async fn store_checkpoint(&self, memory: &mut Memory) -> Result<(), nats::Error> {
        let checkpoint = self.context.open.checkpoint(self.shard);
        if checkpoint != memory.checkpoint {
            self.connection
                .store_checkpoint(self.shard, &checkpoint)
                .await?;
            memory.checkpoint = checkpoint;
        }
        Ok(())
    }
}

/// Whether a request must be looked at closely: it was not yet, has moved on since, or the queues
/// hold another number of messages for it.
fn is_doubtful(open: &Open, messages: u32) -> bool {
    !open
        .looked
        .is_some_and(|looked| looked.heard == open.heard && looked.messages == messages)
}
