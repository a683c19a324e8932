//! The watch for requests without progress.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::request::{Progress, RequestId, Sequence, Stuck};
use jiff::Timestamp;
use nats::{Commit, Connection, Error, LogReader, Scan, UnreadableCommit};
use tokio::sync::Mutex;

/// How many commits are read at once. Each may be up to a megabyte.
const SCAN_CHUNK: usize = 100;
/// Looks for requests without progress. Each query reads the part of the log that was not read yet.
#[derive(Clone)]
pub struct StuckWatch {
    connection: Connection,
    shards: Arc<Vec<Mutex<Shard>>>,
}

#[derive(Default)]
struct Shard {
    read: Sequence,
    open: HashMap<RequestId, Progress>,
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
        }
    }

    /// The stuck requests: those without progress for longer than their timeouts and `slack`
    /// explain.
    pub async fn stuck(&self, slack: Duration) -> Result<Vec<Stuck>, Error> {
        let mut stuck = Vec::new();
        for (number, shard) in (0..).zip(self.shards.iter()) {
            let mut shard = shard.lock().await;
            shard.read_on(&self.connection, number).await?;
            let position = self
                .connection
                .log_position(number, LogReader::Orchestrator);
            let taken_up = Sequence::new(position.await?.delivered);
            let now = Timestamp::now();
            let open = shard.open.values();
            stuck.extend(open.filter_map(|p| p.stuck(now, slack, taken_up)));
        }
        stuck.sort_by_key(|stuck| stuck.last_progress_at);
        Ok(stuck)
    }
}

impl Shard {
    /// Reads the log on from the last position to its end.
    async fn read_on(&mut self, connection: &Connection, number: u8) -> Result<(), Error> {
        let from = self.read.next();
        let mut scan = Scan::open(connection, number, from, Sequence::MAX).await?;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            for commit in commits {
                self.take_in(commit);
            }
        }
        Ok(())
    }

    fn take_in(&mut self, commit: Result<Commit, UnreadableCommit>) {
        let commit = match commit {
            Ok(commit) => commit,
            Err(unreadable) => {
                self.read = unreadable.sequence;
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
