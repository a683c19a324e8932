//! One shard of the log, projected in order.

use std::time::Duration;

use nats::{Connection, Deliveries, Delivery, Feed, Scan};
use projections::Store;
use runtime::Shutdown;

use crate::views::Views;
use crate::{Error, feed};

/// How often an idle projector looks whether Redis is what it was.
const REDIS_LOOK: Duration = Duration::from_secs(1);
/// The pause before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How many commits a rebuild folds at once.
const REBUILD_CHUNK: usize = 1_000;

/// The projection of one shard.
pub struct Shard {
    pub number: u8,
    pub views: Views,
    pub feed: Feed,
    pub store: Store,
    pub connection: Connection,
    /// Up to where this instance has noted in Redis that it has projected.
    pub noted: u64,
}

impl Shard {
    /// Projects until nothing new is to be taken. A commit that cannot be read ends it: a view
    /// never skips an event.
    pub async fn run(
        mut self,
        mut deliveries: Deliveries,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        loop {
            let chunk = tokio::select! {
                chunk = deliveries.next() => chunk.ok_or(Error::Ended)?,
                () = tokio::time::sleep(REDIS_LOOK) => Vec::new(),
                () = shutdown.softly() => return Ok(()),
            };
            loop {
                match self.take_in(&chunk).await {
                    Ok(()) => break,
                    Err(Error::Nats(error)) if !error.is_transient() => {
                        tracing::error!(%error, "projecting stops here");
                        return Err(error.into());
                    }
                    Err(error) => tracing::warn!(%error, "projecting is tried again"),
                }
                if !shutdown.pause(RETRY_PAUSE).await {
                    return Ok(());
                }
            }
        }
    }

    async fn take_in(&mut self, chunk: &[Delivery]) -> Result<(), Error> {
        self.repair().await?;
        let Some(last) = chunk.last() else {
            return Ok(());
        };
        let commits = chunk
            .iter()
            .map(Delivery::commit)
            .collect::<Result<Vec<_>, _>>()?;
        let written = self.views.take_in(&commits);
        let published = feed::publish(&self.feed, &commits);
        let (written, published) = tokio::join!(written, published);
        written?;
        published?;
        let (sequence, _, _) = last.place()?;
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

    async fn rebuild(&self, from: u64, to: u64) -> Result<(), Error> {
        let shard = self.number;
        tracing::warn!(
            shard,
            from,
            to,
            "Redis is not what it was: building the views again"
        );
        self.views.forget();
        let mut scan = Scan::open(&self.connection, shard, from + 1, to).await?;
        while let Some(commits) = scan.next(REBUILD_CHUNK).await? {
            self.views.take_in(&commits).await?;
        }
        let found = self.store.advance(shard, from, to).await?;
        if found < from {
            return Err(Error::Emptied);
        }
        tracing::info!(shard, to, "the views are built again");
        Ok(())
    }
}
