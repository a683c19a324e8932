//! The lag of the projection behind the log.

use std::time::Duration;

use jiff::Timestamp;
use nats::{Connection, Error, LogReader};

/// The age of the oldest commit that is not projected yet, in a log of `shards` shards. Zero if no
/// commit waits. `None` if the broker did not answer within `limit`.
pub async fn oldest_unprojected(
    connection: &Connection,
    shards: u8,
    limit: Duration,
) -> Option<Duration> {
    let looking = tokio::time::timeout(limit, oldest(connection, shards)).await;
    let oldest = looking.ok()?.ok()?;
    let waited = oldest.map(|at| Timestamp::now().duration_since(at));
    // The broker's clock may be ahead of the clock of this machine.
    Some(waited.map_or(Duration::ZERO, |age| age.try_into().unwrap_or_default()))
}

async fn oldest(connection: &Connection, shards: u8) -> Result<Option<Timestamp>, Error> {
    let mut oldest = None;
    for shard in 0..shards {
        let at = connection
            .oldest_unacked(shard, LogReader::Projector)
            .await?;
        oldest = match (oldest, at) {
            (Some(oldest), Some(at)) => Some(at.min(oldest)),
            (oldest, at) => oldest.or(at),
        };
    }
    Ok(oldest)
}
