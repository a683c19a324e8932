//! The log at the broker, with the views if Redis answers.

use std::time::Duration;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use nats::{Commit, Connection, Extent, Log, Options, Payloads, Scan, Start, UnreadableCommit};
use projections::Store;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Error;
use crate::pace::Pace;

/// How long the broker may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait for Redis where the views are optional.
const VIEWS_TIMEOUT: Duration = Duration::from_millis(700);
/// How many commits one read takes from the broker.
pub const CHUNK: usize = 2_000;
/// How many chunks are read ahead. This bounds the memory of a scan.
const CHUNKS_AHEAD: usize = 4;

/// The log at a broker.
#[derive(Clone)]
pub struct Live {
    /// The connection to the broker.
    pub connection: Connection,
    /// The log.
    pub log: Log,
    /// The payloads that the log refers to.
    pub payloads: Payloads,
}

impl Live {
    /// Connects to the broker. The log has this many shards.
    pub async fn open(options: Options, shards: u8) -> Result<Self, Error> {
        let options = Options {
            connect_timeout: CONNECT_TIMEOUT,
            ..options
        };
        let connection = Connection::open(&options).await?;
        Ok(Self::on(connection, shards))
    }

    /// The log on an open connection.
    #[must_use]
    pub fn on(connection: Connection, shards: u8) -> Self {
        Self {
            log: Log::new(connection.clone(), shards),
            payloads: Payloads::new(connection.clone()),
            connection,
        }
    }

    /// The extent of each shard, with the number of the shard.
    pub async fn extents(&self) -> Result<Vec<(u8, Extent)>, Error> {
        let mut extents = Vec::new();
        for shard in 0..self.log.shards() {
            extents.push((shard, self.connection.extent(shard).await?));
        }
        Ok(extents)
    }

    /// Calls `take` with every commit since a time, or with every commit, shard by shard in order,
    /// up to the present end of the log. `take` returns whether to continue.
    pub async fn each(
        &self,
        since: Option<Timestamp>,
        mut take: impl FnMut(Commit) -> bool,
    ) -> Result<(), Error> {
        for shard in 0..self.log.shards() {
            let start = since.map_or(Start::Sequence(Sequence::FIRST), Start::Time);
            let mut scan = Scan::open_at(&self.connection, shard, start, Sequence::MAX).await?;
            let mut pace = Pace::new(&self.connection, shard);
            while let Some(commits) = scan.next_each(CHUNK).await? {
                pace.after(commits.len()).await?;
                for commit in commits.into_iter().filter_map(readable) {
                    if !take(commit) {
                        scan.close().await;
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The commits of a request; an error if it has none.
    pub async fn commits(&self, id: RequestId) -> Result<Vec<Commit>, Error> {
        let commits = self.log.read(id, Sequence::NONE).await?;
        if commits.is_empty() {
            return Err(absent(id));
        }
        Ok(commits)
    }
}

/// Returns a commit that can be read. An unreadable one is logged and skipped; `verify` reports it
/// as a finding.
pub(crate) fn readable(commit: Result<Commit, UnreadableCommit>) -> Option<Commit> {
    commit
        .map_err(|unreadable| tracing::error!("{}: the commit is skipped", unreadable.error))
        .ok()
}

/// The error for a request that does not exist.
pub(crate) fn absent(id: RequestId) -> Error {
    Error::NotFound(format!(
        "there is no request {id} in the log: it was never submitted, or it is older than what \
         the log keeps"
    ))
}

/// The views in this Redis, which keeps them for this long. An error if Redis does not answer soon.
pub async fn views(options: &projections::Options, kept_for: Duration) -> Result<Store, Error> {
    let opening = tokio::time::timeout(VIEWS_TIMEOUT, projections::Connection::open(options));
    let connection = opening.await.map_err(|_| {
        Error::Unreachable(format!("Redis does not answer within {VIEWS_TIMEOUT:?}"))
    })??;
    Ok(Store::new(connection, kept_for))
}

/// A chunk of commits. An unreadable commit is an error of its own.
pub type Chunk = Vec<Result<Commit, UnreadableCommit>>;

/// A reader that prefetches a range of a shard while the caller processes earlier chunks.
pub struct Ahead {
    chunks: mpsc::Receiver<Result<Chunk, nats::Error>>,
    _reading: JoinSet<()>,
}

impl Ahead {
    /// Reads from `start` to sequence `to`, inclusive.
    pub async fn open(live: &Live, shard: u8, start: Start, to: Sequence) -> Result<Self, Error> {
        let pace = Pace::new(&live.connection, shard);
        Self::begin(live, shard, start, to, Some(pace)).await
    }

    /// Reads the same range without pacing, for a caller who waits for the answer.
    pub async fn at_once(
        live: &Live,
        shard: u8,
        start: Start,
        to: Sequence,
    ) -> Result<Self, Error> {
        Self::begin(live, shard, start, to, None).await
    }

    async fn begin(
        live: &Live,
        shard: u8,
        start: Start,
        to: Sequence,
        mut pace: Option<Pace>,
    ) -> Result<Self, Error> {
        let mut scan = Scan::open_at(&live.connection, shard, start, to).await?;
        let (send, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            loop {
                let chunk = match scan.next_each(CHUNK).await {
                    Ok(Some(chunk)) => match &mut pace {
                        Some(pace) => pace.after(chunk.len()).await.map(|()| chunk),
                        None => Ok(chunk),
                    },
                    Ok(None) => return,
                    Err(error) => Err(error),
                };
                let broken = chunk.is_err();
                if send.send(chunk).await.is_err() || broken {
                    return scan.close().await;
                }
            }
        });
        Ok(Self {
            chunks,
            _reading: reading,
        })
    }

    /// The next chunk; `None` at the end of the range.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        Ok(self.chunks.recv().await.transpose()?)
    }
}
