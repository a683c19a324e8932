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
        self.store.checkpoint(self.number, sequence).await?;
        self.noted = self.noted.max(sequence);
        Ok(last.ack().await?)
    }

    /// Builds the views again where Redis was emptied or set back. What Redis has noted is less
    /// than what was noted from here then.
    async fn repair(&mut self) -> Result<(), Error> {
        let found = self.store.checkpoint(self.number, 0).await?;
        if self.noted == 0 {
            // A fresh instance goes by what the broker delivers, unless Redis is empty.
            self.noted = self.connection.acked(self.number, "projector").await?;
        }
        if found >= self.noted {
            return Ok(());
        }
        tracing::warn!(
            shard = self.number,
            from = found,
            to = self.noted,
            "Redis is not what it was: building the views again"
        );
        self.views.forget();
        let mut scan = Scan::open(&self.connection, self.number, found + 1, self.noted).await?;
        while let Some(commits) = scan.next(REBUILD_CHUNK).await? {
            self.views.take_in(&commits).await?;
        }
        self.store.checkpoint(self.number, self.noted).await?;
        tracing::info!(
            shard = self.number,
            to = self.noted,
            "the views are built again"
        );
        Ok(())
    }
}
