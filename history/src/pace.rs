//! Reading gives way to writing: while the log grows it is read no faster than it grows, which
//! costs a running system a small part of what its requests cost. A log at rest is read as fast
//! as it can be.

use domain::request::Sequence;
use std::time::{Duration, Instant};

use nats::{Connection, Error};

/// How often it is looked how fast the log grows.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the first such look takes.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// However slowly the log grows, so many commits are read in a second.
const LEAST_PER_SECOND: f64 = 2_000.0;

/// How fast a shard is read.
pub struct Pace {
    connection: Connection,
    shard: u8,
    /// When the shard was looked at last, and how far it went then.
    looked: Option<(Instant, Sequence)>,
    /// Commits in a second; none where the log is at rest.
    most: Option<f64>,
}

impl Pace {
    pub fn new(connection: &Connection, shard: u8) -> Self {
        Self {
            connection: connection.clone(),
            shard,
            looked: None,
            most: None,
        }
    }

    /// Waits as long as reading so many commits is to take.
    pub async fn after(&mut self, commits: usize) -> Result<(), Error> {
        if self.looked.is_none() {
            self.look().await?;
            tokio::time::sleep(FIRST_LOOK).await;
            self.look().await?;
        }
        let fresh = |(at, _): &(Instant, Sequence)| at.elapsed() < LOOK_EVERY;
        if !self.looked.as_ref().is_some_and(fresh) {
            self.look().await?;
        }
        if let Some(most) = self.most {
            #[allow(clippy::cast_precision_loss)] // Chunks are small.
            let pause = commits as f64 / most;
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        let last = self.connection.extent(self.shard).await?.last;
        let now = Instant::now();
        if let Some((at, before)) = self.looked.replace((now, last)) {
            let grown = last.since(before);
            #[allow(clippy::cast_precision_loss)] // A log's growth in a moment.
            let rate = grown as f64 / (now - at).as_secs_f64();
            self.most = (grown > 0).then(|| rate.max(LEAST_PER_SECOND));
        }
        Ok(())
    }
}
