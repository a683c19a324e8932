//! One shard of the log, projected in order.

use domain::request::Sequence;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nats::{Connection, Deliveries, Delivery, Feed, Log, LogReader};
use projections::Store;
use runtime::Shutdown;

use crate::Error;
use crate::project::Make;
use crate::stops::Stops;
use crate::suspects::Suspects;
use crate::views::Views;

/// How often an idle projector checks whether Redis has lost data.
const REDIS_LOOK: Duration = Duration::from_secs(1);
/// The pause before a failed step is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often expired requests are taken out of the index.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// The shortest interval between batches. Commits of one request that come close together become
/// one write.
const TAKE_IN_EVERY: Duration = Duration::from_millis(50);
/// How many failures may be due to one commit before its chunk is projected commit by commit.
const SPLIT_AFTER: u32 = 5;

/// The projection of one shard.
pub struct Shard {
    pub number: u8,
    pub views: Views,
    pub log: Log,
    pub stops: Stops,
    pub feed: Feed,
    pub store: Store,
    pub connection: Connection,
    /// The last sequence that this instance has recorded in Redis as projected.
    pub noted: Sequence,
    /// When this instance last trimmed the index.
    pub trimmed: Instant,
    /// The last sequence whose events this instance has published to the feed.
    pub published: Sequence,
    /// Whether to project commits one by one, and to stop the views of those that cannot be
    /// projected.
    pub singly: bool,
    pub suspects: Suspects,
}

impl Shard {
    /// Projects until the shutdown begins, and then hands back what it has not begun.
    pub async fn run(
        mut self,
        mut deliveries: Deliveries,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let mut chunk = Vec::new();
        self.follow(&mut deliveries, &mut chunk, &shutdown).await?;
        deliveries.hand_back(chunk).await;
        Ok(())
    }

    /// Projects until the shutdown begins. `chunk` then has what was not projected. A commit that
    /// cannot be read or projected stops the view of its request, because a view never skips an
    /// event.
    async fn follow(
        &mut self,
        deliveries: &mut Deliveries,
        chunk: &mut Vec<Delivery>,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        let mut next = Instant::now();
        loop {
            chunk.clear();
            tokio::select! {
                gathered = gather(deliveries, chunk, next) => gathered.ok_or(Error::Ended)?,
                () = shutdown.softly() => return Ok(()),
            };
            next = Instant::now() + TAKE_IN_EVERY;
            self.suspects.note(chunk);
            let mut blamed = 0;
            loop {
                self.singly = blamed >= SPLIT_AFTER;
                // Wait for a broker that is away, but not past a hard shutdown.
                match shutdown.unless_hard(Box::pin(self.take_in(chunk))).await {
                    None => return Ok(()),
                    Some(Ok(())) => break,
                    Some(Err(error)) => {
                        let blame = error.is_of_its_commit();
                        blamed = if blame { blamed + 1 } else { 0 };
                        tracing::warn!(%error, "the projection of a shard will be tried again");
                    }
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
        let all = in_order(chunk)?;
        let Some((sequence, last)) = all.last().copied() else {
            return Ok(());
        };
        let noted = self.noted;
        let new = &all[all.partition_point(|(sequence, _)| *sequence <= noted)..];
        // After a lost broker or connection, messages in flight are redelivered late. The ack of
        // the first new message would also cover the missing ones.
        let follows_on = new.len() as u64 == sequence.since(noted);
        if follows_on {
            self.project_delivered(new).await?;
        } else {
            let (shard, from) = (self.number, noted.next());
            tracing::debug!(
                shard,
                from = from.get(),
                sequence = sequence.get(),
                "catching up from the log"
            );
            Box::pin(self.project_log(from, sequence, Make::All)).await?;
        }
        let found = self
            .store
            .advance(self.number, self.noted, sequence)
            .await?;
        if found < self.noted {
            // Redis was emptied after `repair` checked it, and may have lost what was just written.
            Box::pin(self.rebuild(found, sequence)).await?;
        }
        self.noted = self.noted.max(sequence);
        Ok(last.ack().await?)
    }

    /// Removes expired requests from the index, at most every `TRIM_EVERY`.
    async fn trim(&mut self) -> Result<(), Error> {
        if self.trimmed.elapsed() >= TRIM_EVERY {
            self.store.trim(self.number, Timestamp::now()).await?;
            self.trimmed = Instant::now();
        }
        Ok(())
    }

    /// Rebuilds the views if Redis was emptied or set back. In that case the checkpoint in Redis is
    /// below the one that this instance recorded.
    async fn repair(&mut self) -> Result<(), Error> {
        let found = self.store.checkpoint(self.number).await?;
        if self.noted == Sequence::NONE {
            // A fresh instance starts from the last commit that was acked to the broker.
            self.noted = self
                .connection
                .acked(self.number, LogReader::Projector)
                .await?;
        }
        if found >= self.noted {
            return Ok(());
        }
        Box::pin(self.rebuild(found, self.noted)).await
    }

    async fn rebuild(&mut self, from: Sequence, to: Sequence) -> Result<(), Error> {
        let shard = self.number;
        tracing::warn!(
            shard,
            from = from.get(),
            to = to.get(),
            "Redis lost data: rebuilding the views"
        );
        self.views.forget();
        self.stops.reload().await?;
        self.project_log(from.next(), to, Make::Views).await?;
        let found = self.store.advance(shard, from, to).await?;
        if found < from {
            return Err(Error::Emptied);
        }
        tracing::info!(shard, to = to.get(), "rebuilt the views");
        Ok(())
    }
}

/// The deliveries in the order of the log, without duplicates.
fn in_order(chunk: &[Delivery]) -> Result<Vec<(Sequence, &Delivery)>, Error> {
    let mut all = Vec::with_capacity(chunk.len());
    for delivery in chunk {
        let sequence = Sequence::new(delivery.place()?.sequence);
        all.push((sequence, delivery));
    }
    all.sort_by_key(|(sequence, _)| *sequence);
    all.dedup_by_key(|(sequence, _)| *sequence);
    Ok(all)
}

/// Gathers deliveries into `gathered` until `until`, or until a chunk is full. Gathers none if
/// nothing arrives for a while, and returns `None` if the connection is closed.
async fn gather(
    deliveries: &mut Deliveries,
    gathered: &mut Vec<Delivery>,
    until: Instant,
) -> Option<()> {
    let Ok(first) = tokio::time::timeout(REDIS_LOOK, deliveries.next()).await else {
        return Some(());
    };
    gathered.extend(first?);
    while gathered.len() < Deliveries::CHUNK {
        match tokio::time::timeout_at(until.into(), deliveries.next()).await {
            Ok(more) => gathered.extend(more?),
            Err(_) => break,
        }
    }
    Some(())
}
