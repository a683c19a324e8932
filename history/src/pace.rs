//! Limits the rate of a scan, so that reads give way to writes. While the log grows, a scan reads
//! no faster than the log grows. This costs a running system a small part of what its requests
//! cost. A scan reads an idle log as fast as possible.

use domain::request::Sequence;
use std::time::{Duration, Instant};

use nats::{Connection, Error};

/// How often the pace measures the growth of the log.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the first measurement takes.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The lower bound of the rate, in commits per second, however slowly the log grows.
const LEAST_PER_SECOND: f64 = 2_000.0;

/// The rate at which a shard may be read.
pub struct Pace {
    connection: Connection,
    shard: u8,
    /// The time of the last measurement, and the last sequence of the shard then.
    looked: Option<(Instant, Sequence)>,
    /// The rate in commits per second; `None` while the log is idle.
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

    /// Waits as long as the reading of this many commits should take.
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
            #[allow(clippy::cast_precision_loss)] // The growth of a log in a moment is small.
            let rate = grown as f64 / (now - at).as_secs_f64();
            self.most = (grown > 0).then(|| rate.max(LEAST_PER_SECOND));
        }
        Ok(())
    }
}
