//! One shard of the log, projected in order.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::request::RequestId;
use jiff::Timestamp;
use nats::{Commit, Connection, Deliveries, Delivery, Feed, Log, Scan, UnreadableCommit};
use projections::Store;
use runtime::Shutdown;

use crate::stops::Stops;
use crate::views::Views;
use crate::{Error, feed};

/// How often an idle projector looks whether Redis is what it was.
const REDIS_LOOK: Duration = Duration::from_secs(1);
/// The pause before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often expired requests are taken out of the index.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How often commits are taken in at the most: those of one request that come close together are
/// one write.
const TAKE_IN_EVERY: Duration = Duration::from_millis(50);
/// How many commits a rebuild folds at once.
const REBUILD_CHUNK: usize = 1_000;

/// The projection of one shard.
pub struct Shard {
    pub number: u8,
    pub views: Views,
    pub log: Log,
    pub stops: Stops,
    pub feed: Feed,
    pub store: Store,
    pub connection: Connection,
    /// Up to where this instance has noted in Redis that it has projected.
    pub noted: u64,
    /// When the index was trimmed last.
    pub trimmed: Instant,
}

impl Shard {
    /// Projects until nothing new is to be taken. A commit that cannot be read stops the view of
    /// its request: a view never skips an event.
    pub async fn run(
        mut self,
        mut deliveries: Deliveries,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let mut next = Instant::now();
        loop {
            let chunk = tokio::select! {
                chunk = gather(&mut deliveries, next) => chunk.ok_or(Error::Ended)?,
                () = shutdown.softly() => return Ok(()),
            };
            next = Instant::now() + TAKE_IN_EVERY;
            loop {
                // A broker that is away is waited for, but not by who is to end at once.
                match shutdown.unless_hard(Box::pin(self.take_in(&chunk))).await {
                    None => return Ok(()),
                    Some(Ok(())) => break,
                    Some(Err(error)) => tracing::warn!(%error, "projecting is tried again"),
                }
                if !shutdown.pause(RETRY_PAUSE).await {
                    return Ok(());
                }
            }
        }
    }

    async fn take_in(&mut self, chunk: &[Delivery]) -> Result<(), Error> {
        self.repair().await?;
        self.resume().await?;
        self.trim().await?;
        let Some((last, sequence)) = Self::last(chunk)? else {
            return Ok(());
        };
        if self.follows_on(chunk, sequence)? {
            let commits = chunk.iter().map(UnreadableCommit::or_commit);
            self.project(commits.collect::<Result<_, _>>()?).await?;
        } else {
            self.catch_up(sequence).await?;
        }
        let found = self
            .store
            .advance(self.number, self.noted, sequence)
            .await?;
        if found < self.noted {
            // Redis was emptied after the look at it above, and may lack what was just written.
            self.rebuild(found, sequence).await?;
        }
        self.noted = self.noted.max(sequence);
        Ok(last.ack().await?)
    }

    /// The delivery furthest on in the log, and its sequence.
    fn last(chunk: &[Delivery]) -> Result<Option<(&Delivery, u64)>, Error> {
        let mut last = None;
        for delivery in chunk {
            let (sequence, _, _) = delivery.place()?;
            if last.is_none_or(|(_, furthest)| sequence > furthest) {
                last = Some((delivery, sequence));
            }
        }
        Ok(last)
    }

    /// Whether a chunk has every commit from where the projection is up to its last one. After
    /// the broker or the connection was lost what was on its way comes again later, and the ack
    /// of what comes first would cover it.
    fn follows_on(&self, chunk: &[Delivery], last: u64) -> Result<bool, Error> {
        let mut new = BTreeSet::new();
        for delivery in chunk {
            let (sequence, _, _) = delivery.place()?;
            if sequence > self.noted {
                new.insert(sequence);
            }
        }
        Ok(new.len() as u64 == last.saturating_sub(self.noted))
    }

    /// Projects from the log itself what is between where the projection is and here.
    async fn catch_up(&mut self, to: u64) -> Result<(), Error> {
        let from = self.noted + 1;
        tracing::debug!(shard = self.number, from, to, "catching up from the log");
        let mut scan = Scan::open(&self.connection, self.number, from, to).await?;
        while let Some(commits) = scan.next_each(REBUILD_CHUNK).await? {
            self.project(commits).await?;
        }
        Ok(())
    }

    async fn project(
        &mut self,
        commits: Vec<Result<Commit, UnreadableCommit>>,
    ) -> Result<(), Error> {
        let commits = self.stops.readable(commits).await?;
        let written = self.views.take_in(self.number, &commits);
        let published = feed::publish(&mut self.feed, &commits);
        let (written, published) = tokio::join!(written, published);
        self.stop(written?).await?;
        Ok(published?)
    }

    /// Takes what has expired out of the index, now and then.
    async fn trim(&mut self) -> Result<(), Error> {
        if self.trimmed.elapsed() >= TRIM_EVERY {
            self.store.trim(self.number, Timestamp::now()).await?;
            self.trimmed = Instant::now();
        }
        Ok(())
    }

    /// Builds the views again where Redis was emptied or set back: what it has noted is less
    /// than what was noted from here then.
    async fn repair(&mut self) -> Result<(), Error> {
        let found = self.store.checkpoint(self.number).await?;
        if self.noted == 0 {
            // A fresh instance goes by what the broker has had acked.
            self.noted = self.connection.acked(self.number, "projector").await?;
        }
        if found >= self.noted {
            return Ok(());
        }
        self.rebuild(found, self.noted).await
    }

    /// Stops the views of requests whose logs cannot be read.
    async fn stop(&mut self, unreadable: Vec<UnreadableCommit>) -> Result<(), Error> {
        for commit in unreadable {
            if let Some(request) = commit.request {
                self.stops
                    .stop(request, commit.sequence, &commit.error)
                    .await?;
            }
        }
        Ok(())
    }

    /// Goes on with the views that another version had to stop, where this one can read on.
    async fn resume(&mut self) -> Result<(), Error> {
        let (shards, number) = (self.log.shards(), self.number);
        let mine = |request: RequestId| request.partition().shard(shards) == number;
        for stopped in self.stops.untried(mine).await? {
            let request = stopped.request_id;
            match self.log.read(request, 0).await {
                Ok(commits) => {
                    self.views.write_all(self.number, &commits).await?;
                    // What comes after this is still to be delivered.
                    let passed =
                        |c: &&Commit| c.sequence >= stopped.sequence && c.sequence <= self.noted;
                    let passed: Vec<Commit> = commits.iter().filter(passed).cloned().collect();
                    feed::publish(&mut self.feed, &passed).await?;
                    self.stops.resumed(request).await?;
                }
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => self.stops.stop(request, stopped.sequence, &error).await?,
            }
        }
        Ok(())
    }

    async fn rebuild(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let shard = self.number;
        tracing::warn!(
            shard,
            from,
            to,
            "Redis is not what it was: building the views again"
        );
        self.views.forget();
        let mut scan = Scan::open(&self.connection, shard, from + 1, to).await?;
        while let Some(commits) = scan.next_each(REBUILD_CHUNK).await? {
            let commits = self.stops.readable(commits).await?;
            let unreadable = self.views.take_in(shard, &commits).await?;
            self.stop(unreadable).await?;
        }
        let found = self.store.advance(shard, from, to).await?;
        if found < from {
            return Err(Error::Emptied);
        }
        tracing::info!(shard, to, "the views are built again");
        Ok(())
    }
}

/// What is delivered until then, or until it is many; nothing where nothing comes for long. None
/// says that the connection is closed.
async fn gather(deliveries: &mut Deliveries, until: Instant) -> Option<Vec<Delivery>> {
    let Ok(first) = tokio::time::timeout(REDIS_LOOK, deliveries.next()).await else {
        return Some(Vec::new());
    };
    let mut gathered = first?;
    while gathered.len() < Deliveries::CHUNK {
        match tokio::time::timeout_at(until.into(), deliveries.next()).await {
            Ok(more) => gathered.extend(more?),
            Err(_) => break,
        }
    }
    Some(gathered)
}
