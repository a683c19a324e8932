//! The watch for requests without progress.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::request::{Progress, RequestId, Sequence, Stuck};
use jiff::Timestamp;
use nats::{Commit, Connection, Error, LogReader, Scan, Start, UnreadableCommit};
use tokio::sync::Mutex;

use crate::Open;

/// How many commits are read at once. Each may be up to a megabyte.
const SCAN_CHUNK: usize = 100;
/// How much of the log one look at the open requests reads.
const LOOK: Limit = Limit {
    time: Duration::from_millis(500),
    commits: 100_000,
};
/// How much longer than the request timeout a request may be open before the watch misses it.
const OPEN_SLACK: Duration = Duration::from_mins(10);

/// Watches every open request. Each query reads the part of the log that the watch has not read
/// yet.
#[derive(Clone)]
pub struct StuckWatch {
    connection: Connection,
    shards: Arc<Vec<Mutex<Shard>>>,
    /// How far back the watch reads the log; `None` means from its beginning.
    reach: Option<Duration>,
}

#[derive(Default)]
struct Shard {
    read: Sequence,
    open: HashMap<RequestId, Progress>,
    unreadable: usize,
    /// Whether the last read reached the end of the log.
    complete: bool,
    /// When the log was last read.
    looked: Option<Instant>,
}

/// How far one query reads.
#[derive(Clone, Copy)]
struct Limit {
    /// For how long, over all shards.
    time: Duration,
    /// How many commits of each shard.
    commits: usize,
}

/// The findings of a query.
#[derive(Default)]
struct Look {
    stuck: Vec<Stuck>,
    open: usize,
    unreadable: usize,
    incomplete: usize,
}

impl StuckWatch {
    /// Watches a log of `shards` shards from its beginning. The first query therefore reads the
    /// whole log.
    #[must_use]
    pub fn new(connection: Connection, shards: u8) -> Self {
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        Self {
            connection,
            shards: Arc::new(shards),
            reach: None,
        }
    }

    /// Watches only requests that may still be open, none of which may take longer than
    /// `request_timeout`. It misses a request that is open for longer, for example because no
    /// orchestrator ran. A watch from the beginning of the log sees that request too.
    #[must_use]
    pub fn of_open(connection: Connection, shards: u8, request_timeout: Duration) -> Self {
        Self {
            reach: Some(request_timeout.saturating_add(OPEN_SLACK)),
            ..Self::new(connection, shards)
        }
    }

    /// The stuck requests: those without progress for longer than their timeouts and `slack`
    /// explain.
    pub async fn stuck(&self, slack: Duration) -> Result<Vec<Stuck>, Error> {
        let mut stuck = self.look(slack, None).await?.stuck;
        stuck.sort_by_key(|stuck| stuck.last_progress_at);
        Ok(stuck)
    }

    /// The open requests, as far as a short look at the log finds them.
    pub async fn open(&self, slack: Duration) -> Result<Open, Error> {
        let look = self.look(slack, Some(LOOK)).await?;
        let mut stuck = look.stuck;
        stuck.sort_by_key(|stuck| stuck.last_progress_at);
        Ok(Open {
            count: look.open,
            stuck,
            unreadable: look.unreadable,
            is_complete: look.incomplete == 0,
        })
    }

    /// Reads on up to the limit, and returns what the watch knows then.
    async fn look(&self, slack: Duration, limit: Option<Limit>) -> Result<Look, Error> {
        let shards = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        let limit = limit.map(|limit| Limit {
            time: limit.time / shards.max(1),
            ..limit
        });
        let asked = Instant::now();
        let mut look = Look::default();
        for (number, shard) in (0..).zip(self.shards.iter()) {
            let mut shard = shard.lock().await;
            // Among concurrent callers only one reads, and the others share its findings.
            let meanwhile = shard.looked.is_some_and(|looked| looked >= asked);
            if limit.is_none() || !meanwhile {
                shard
                    .read_on(&self.connection, number, self.reach, limit)
                    .await?;
            }
            let taken_up = self
                .connection
                .log_position(number, LogReader::Orchestrator)
                .await?;
            let (now, taken_up) = (Timestamp::now(), Sequence::new(taken_up.delivered));
            let open = shard.open.values();
            look.stuck
                .extend(open.filter_map(|p| p.stuck(now, slack, taken_up)));
            look.open += shard.open.len();
            look.unreadable += shard.unreadable;
            look.incomplete += usize::from(!shard.complete);
        }
        Ok(look)
    }
}

impl Shard {
    /// Reads the log on from the last position, by at least one chunk.
    async fn read_on(
        &mut self,
        connection: &Connection,
        number: u8,
        reach: Option<Duration>,
        limit: Option<Limit>,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let since = reach.filter(|_| self.read == Sequence::NONE);
        let since = since.and_then(|reach| Timestamp::now().checked_sub(reach).ok());
        let start = since.map_or(Start::Sequence(self.read.next()), Start::Time);
        let mut scan = Scan::open_at(connection, number, start, Sequence::MAX).await?;
        let mut read = 0;
        self.complete = true;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            read += commits.len();
            for commit in commits {
                self.take_in(commit);
            }
            let enough = |limit: Limit| read >= limit.commits || begun.elapsed() >= limit.time;
            if limit.is_some_and(enough) {
                self.complete = false;
                scan.close().await;
                break;
            }
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    fn take_in(&mut self, commit: Result<Commit, UnreadableCommit>) {
        let commit = match commit {
            Ok(commit) => commit,
            Err(unreadable) => {
                self.read = unreadable.sequence;
                self.unreadable += 1;
                return;
            }
        };
        self.read = commit.sequence;
        for recorded in commit.recorded() {
            let before = self.open.remove(&commit.request);
            if let Some(progress) = Progress::after(before, &recorded) {
                self.open.insert(commit.request, progress);
            }
        }
    }
}

#[cfg(test)]
mod tests;
