//! One shard of the log, projected in order.

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

/// How often an idle projector looks whether Redis is what it was.
const REDIS_LOOK: Duration = Duration::from_secs(1);
/// The pause before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often expired requests are taken out of the index.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How often commits are taken in at the most: those of one request that come close together are
/// one write.
const TAKE_IN_EVERY: Duration = Duration::from_millis(50);
/// How often a chunk fails because of a commit in it until it is taken in commit by commit.
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
    /// Up to where this instance has noted in Redis that it has projected.
    pub noted: u64,
    /// When the index was trimmed last.
    pub trimmed: Instant,
    /// Up to where this instance has published the feed.
    pub published: u64,
    /// Whether what comes is projected commit by commit, and what cannot be projected is set aside.
    pub singly: bool,
    pub suspects: Suspects,
}

impl Shard {
    /// Projects until nothing new is to be taken. A commit that cannot be read, or not be
    /// projected, stops the view of its request: a view never skips an event.
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
            self.suspects.note(&chunk);
            let mut blamed = 0;
            loop {
                self.singly = blamed >= SPLIT_AFTER;
                // A broker that is away is waited for, but not by who is to end at once.
                match shutdown.unless_hard(Box::pin(self.take_in(&chunk))).await {
                    None => return Ok(()),
                    Some(Ok(())) => break,
                    Some(Err(error)) => {
                        let blame = error.is_of_its_commit();
                        blamed = if blame { blamed + 1 } else { 0 };
                        tracing::warn!(%error, "projecting is tried again");
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
        // After the broker or the connection was lost what was on its way comes again later, and
        // the ack of what comes first would cover it.
        let follows_on = new.len() as u64 == sequence.saturating_sub(noted);
        if follows_on {
            self.project_delivered(new).await?;
        } else {
            let (shard, from) = (self.number, noted + 1);
            tracing::debug!(shard, from, sequence, "catching up from the log");
            Box::pin(self.project_log(from, sequence, Make::All)).await?;
        }
        let found = self
            .store
            .advance(self.number, self.noted, sequence)
            .await?;
        if found < self.noted {
            // Redis was emptied after the look at it above, and may lack what was just written.
            Box::pin(self.rebuild(found, sequence)).await?;
        }
        self.noted = self.noted.max(sequence);
        Ok(last.ack().await?)
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

    async fn rebuild(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let shard = self.number;
        tracing::warn!(
            shard,
            from,
            to,
            "Redis is not what it was: building the views again"
        );
        self.views.forget();
        self.stops.reload().await?;
        self.project_log(from + 1, to, Make::Views).await?;
        let found = self.store.advance(shard, from, to).await?;
        if found < from {
            return Err(Error::Emptied);
        }
        tracing::info!(shard, to, "the views are built again");
        Ok(())
    }
}

/// What was delivered, in the order of the log, each once.
fn in_order(chunk: &[Delivery]) -> Result<Vec<(u64, &Delivery)>, Error> {
    let mut all = Vec::with_capacity(chunk.len());
    for delivery in chunk {
        let sequence = delivery.place()?.sequence;
        all.push((sequence, delivery));
    }
    all.sort_by_key(|(sequence, _)| *sequence);
    all.dedup_by_key(|(sequence, _)| *sequence);
    Ok(all)
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
