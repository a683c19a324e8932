//! Where the views stand. Redis says it, by its checkpoint. Where Redis is behind the feed, because
//! it was away, refused writes or lost data, the views are folded from the log, a part at a time
//! between the chunks of the feed.

use std::time::{Duration, Instant};

use domain::request::Sequence;
use jiff::Timestamp;
use projections::Store;

use crate::Error;
use crate::again::Reading;
use crate::project::Make;
use crate::shard::{SPLIT_AFTER, Shard, pause_after};

/// How often expired requests are taken out of the index.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How long the views may be caught up before the feed is looked after again.
const ROUND: Duration = Duration::from_millis(200);

/// Where the views of a shard stand.
pub struct Standing {
    store: Store,
    /// Whether the views are where the feed is.
    level: bool,
    /// The checkpoint that Redis has told last.
    noted: Sequence,
    /// When Redis is asked again after a failure.
    retry_at: Instant,
    /// How many failures in a row were due to one commit.
    blamed: u32,
    /// The part of the log that is being folded again.
    reading: Option<Reading>,
    /// When the index was trimmed.
    trimmed: Instant,
}

impl Standing {
    /// Nothing is known yet.
    pub fn unknown(store: Store) -> Self {
        Self {
            store,
            level: false,
            noted: Sequence::NONE,
            retry_at: Instant::now(),
            blamed: 0,
            reading: None,
            trimmed: Instant::now(),
        }
    }

    /// Whether the views are where the feed is.
    pub fn is_level(&self) -> bool {
        self.level
    }

    /// How long to wait for the feed before the views are looked after.
    pub fn look_after(&self, usual: Duration) -> Duration {
        if self.level || self.reading.is_none() {
            usual
        } else {
            self.retry_at.saturating_duration_since(Instant::now())
        }
    }

    /// Notes that the views cannot go on now.
    fn falls_behind(&mut self, shard: u8, error: &Error) {
        if self.level {
            tracing::warn!(shard, %error, "the views stand; the feed goes on");
        } else {
            tracing::debug!(shard, %error, "the views still stand");
        }
        self.blamed = if error.is_of_its_commit() {
            self.blamed + 1
        } else {
            0
        };
        self.level = false;
        self.reading = None;
        self.retry_at = Instant::now() + pause_after(error);
    }
}

impl Shard {
    /// Looks after the views, as far as Redis allows. `published` is where the feed is.
    pub(crate) async fn tend_views(&mut self, published: Sequence) {
        if !self.standing.level && Instant::now() < self.standing.retry_at {
            return;
        }
        let singly = std::mem::replace(&mut self.singly, self.standing.blamed >= SPLIT_AFTER);
        let tended = Box::pin(self.try_to_tend(published)).await;
        self.singly = singly;
        if let Err(error) = tended {
            self.views_fail(error).await;
        }
    }

    /// Notes that the views cannot go on now. A key of another type is deleted.
    pub(crate) async fn views_fail(&mut self, error: Error) {
        if let Error::Views(projections::Error::Foreign { key }) = &error {
            tracing::warn!(key, "a key of another type is deleted and built anew");
            if let Err(error) = self.standing.store.discard(key, self.number).await {
                tracing::debug!(%error, "it could not be deleted");
            }
        }
        self.standing.falls_behind(self.number, &error);
    }

    async fn try_to_tend(&mut self, published: Sequence) -> Result<(), Error> {
        let found = self.standing.store.checkpoint(self.number).await?;
        if found < self.standing.noted {
            let (shard, from) = (self.number, found.get());
            tracing::warn!(
                shard,
                from,
                to = published.get(),
                "Redis lost data: rebuilding the views"
            );
            self.standing.level = false;
            self.standing.reading = None;
            self.standing.noted = found;
            self.views.forget();
            self.stops.reload().await?;
        }
        self.resume(published).await?;
        self.trim().await?;
        if found < published && !Box::pin(self.catch_up(found, published)).await? {
            return Ok(());
        }
        self.standing.noted = self.standing.noted.max(found);
        self.standing.blamed = 0;
        self.standing.reading = None;
        if !self.standing.level {
            self.standing.level = true;
            let (shard, to) = (self.number, published.get());
            tracing::info!(shard, to, "the views are where the feed is");
        }
        Ok(())
    }

    /// Folds the views on from the checkpoint for a while. Returns whether they are where the feed is.
    async fn catch_up(&mut self, found: Sequence, published: Sequence) -> Result<bool, Error> {
        self.standing.level = false;
        let begun = Instant::now();
        let mut reading = match self.standing.reading.take() {
            Some(reading) if reading.next() == found.next() => reading,
            _ => Reading::from(found.next()),
        };
        while reading.next() <= published && begun.elapsed() < ROUND {
            let before = reading.next().before();
            let last = Box::pin(self.step(&mut reading, published, Make::Views)).await?;
            let store = &self.standing.store;
            let found = store.advance(self.number, before, last).await?;
            if found < before {
                return Err(Error::Emptied);
            }
            self.standing.noted = last.max(found);
        }
        let done = reading.next() > published;
        self.standing.reading = Some(reading);
        Ok(done)
    }

    /// Notes in Redis that the views are projected up to a sequence, if they are.
    pub(crate) async fn note_views(&mut self, sequence: Sequence) {
        if !self.standing.level {
            return;
        }
        let noted = self.standing.noted;
        let advanced = self.standing.store.advance(self.number, noted, sequence);
        match advanced.await {
            Ok(found) if found >= noted => self.standing.noted = found.max(sequence),
            // Redis was emptied after it was looked after, and may have lost what was just written.
            Ok(_) => self.standing.falls_behind(self.number, &Error::Emptied),
            Err(error) => self.views_fail(error.into()).await,
        }
    }

    /// Removes expired requests from the index, at most every `TRIM_EVERY`.
    async fn trim(&mut self) -> Result<(), Error> {
        if self.standing.trimmed.elapsed() >= TRIM_EVERY {
            let store = &self.standing.store;
            store.trim(self.number, Timestamp::now()).await?;
            self.standing.trimmed = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
