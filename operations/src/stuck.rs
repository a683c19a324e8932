//! The watch for requests without progress.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::request::{Progress, RequestId, Sequence, Stuck};
use jiff::Timestamp;
use nats::{Commit, Connection, Error, LogReader, Scan, Start, UnreadableCommit};
use tokio::sync::Mutex;

use crate::Open;

/// How long any step may take beyond its timeouts before its request counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(1);
/// How many commits are read at once. Each may be up to a megabyte.
const SCAN_CHUNK: usize = 100;
/// How much of the log one metrics request reads.
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
    /// Watches a log of `shards` shards from its beginning. With none it knows nothing of requests. The first query therefore reads the
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

    /// The metrics of the watch, in the Prometheus text format. They say whether the bounded read
    /// reached the end of the log.
    pub async fn metrics(
        &self,
        stopped_views: usize,
        oldest_unprojected: Option<Duration>,
    ) -> Result<String, Error> {
        let look = self.look(STUCK_AFTER, Some(LOOK)).await?;
        let complete = look.incomplete == 0;
        // After a partial read, the watch does not know which requests have ended since.
        let reads = !self.shards.is_empty();
        let known = |count: usize| (complete && reads).then_some(count as u64);
        let gauges = [
            (
                "fanfold_requests_open",
                "Requests that have not ended.",
                known(look.open),
            ),
            (
                "fanfold_requests_stuck",
                "Requests without progress for longer than their timeouts explain.",
                known(look.stuck.len()),
            ),
            (
                "fanfold_requests_look_complete",
                "Whether the log was read to its end for the gauges of requests: 1, or 0.",
                reads.then_some(u64::from(complete)),
            ),
            (
                "fanfold_commits_unreadable",
                "Commits of the log that this version cannot read.",
                reads.then_some(look.unreadable as u64),
            ),
            (
                "fanfold_views_stopped",
                "Views that were stopped at a commit that cannot be read or projected.",
                Some(stopped_views as u64),
            ),
            (
                "fanfold_projection_oldest_commit_seconds",
                "For how long the oldest commit has waited that is not projected yet.",
                oldest_unprojected.map(|age| age.as_secs()),
            ),
        ];
        let told = gauges.into_iter().filter_map(|(name, help, value)| {
            let value = value?;
            Some(format!(
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
            ))
        });
        Ok(told.collect())
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
