//! A watch for requests without progress.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::request::{Progress, RequestId, Stuck};
use jiff::Timestamp;
use nats::{Connection, Error, Scan};
use tokio::sync::Mutex;

/// How long any step may take beyond its time-outs before its request counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(1);
/// How many commits are read at once.
const SCAN_CHUNK: usize = 1_000;

/// Watches every request that has not ended. It reads the log as far as it has not read it yet
/// whenever it is asked, so the first answer takes a reading of all of it.
#[derive(Clone)]
pub struct StuckWatch {
    connection: Connection,
    shards: Arc<Vec<Mutex<Shard>>>,
}

#[derive(Default)]
struct Shard {
    read: u64,
    open: HashMap<RequestId, Progress>,
    unreadable: usize,
}

impl StuckWatch {
    /// Of a log of so many shards.
    #[must_use]
    pub fn new(connection: Connection, shards: u8) -> Self {
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        Self {
            connection,
            shards: Arc::new(shards),
        }
    }

    /// The requests that are stuck now: without progress for longer than their time-outs and
    /// `slack` explain.
    pub async fn stuck(&self, slack: Duration) -> Result<Vec<Stuck>, Error> {
        let mut stuck = Vec::new();
        for (number, shard) in (0..).zip(self.shards.iter()) {
            let mut shard = shard.lock().await;
            shard.read_on(&self.connection, number).await?;
            let taken_up = self.connection.log_position(number, "orchestrator").await?;
            let (now, taken_up) = (Timestamp::now(), taken_up.delivered);
            let open = shard.open.values();
            stuck.extend(open.filter_map(|p| p.stuck(now, slack, taken_up)));
        }
        stuck.sort_by_key(|stuck| stuck.last_progress_at);
        Ok(stuck)
    }

    /// What is to be watched, in the text form of Prometheus.
    pub async fn metrics(&self, stopped_views: usize) -> Result<String, Error> {
        let stuck = self.stuck(STUCK_AFTER).await?.len();
        let (open, unreadable) = self.counts().await;
        let gauges = [
            (
                "fanfold_requests_open",
                "Requests that have not ended.",
                open,
            ),
            (
                "fanfold_requests_stuck",
                "Requests without progress for longer than their time-outs explain.",
                stuck,
            ),
            (
                "fanfold_commits_unreadable",
                "Commits of the log that this version cannot read.",
                unreadable,
            ),
            (
                "fanfold_views_stopped",
                "Views that were stopped at an event that cannot be read.",
                stopped_views,
            ),
        ];
        let gauge = |(name, help, value)| {
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        };
        Ok(gauges.map(gauge).concat())
    }

    /// How many requests are open and how many commits cannot be read, as of the last look.
    async fn counts(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for shard in self.shards.iter() {
            let shard = shard.lock().await;
            counts.0 += shard.open.len();
            counts.1 += shard.unreadable;
        }
        counts
    }
}

impl Shard {
    async fn read_on(&mut self, connection: &Connection, number: u8) -> Result<(), Error> {
        let mut scan = Scan::open(connection, number, self.read + 1, u64::MAX).await?;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            for commit in commits {
                let commit = match commit {
                    Ok(commit) => commit,
                    Err(unreadable) => {
                        self.read = unreadable.sequence;
                        self.unreadable += 1;
                        continue;
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
        Ok(())
    }
}
