//! The views in Redis.

use domain::request::Sequence;
use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands as _;

use crate::script::Scripts;
use crate::view::View;
use crate::{Connection, Error, key};

/// Reads and writes the views.
#[derive(Clone)]
pub struct Store {
    pub(crate) connection: Connection,
    time_to_live: Duration,
    pub(crate) scripts: Arc<Scripts>,
}

impl Store {
    /// Uses this connection, and keeps the views of ended requests for `time_to_live`.
    #[must_use]
    pub fn new(connection: Connection, time_to_live: Duration) -> Self {
        Self {
            connection,
            time_to_live,
            scripts: Arc::default(),
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        self.connection.ping().await
    }

    /// When a view's keys expire, in Unix seconds; 0 while the request has not ended.
    #[must_use]
    pub fn expiry(&self, view: &View) -> i64 {
        view.completed_at.map_or(0, |at| {
            let keep = i64::try_from(self.time_to_live.as_secs()).unwrap_or(i64::MAX);
            at.as_second().saturating_add(keep)
        })
    }

    /// The sequence up to which a shard is noted as projected; `NONE` before the first.
    pub async fn checkpoint(&self, shard: u8) -> Result<Sequence, Error> {
        let noted: Option<u64> = self.connection().get(key::checkpoint(shard)).await?;
        Ok(noted.map_or(Sequence::NONE, Sequence::new))
    }

    /// Notes that a shard is projected up to `to`, unless the earlier note is less than `from`.
    /// Returns the earlier note. One that is less than `from` means that Redis was emptied or set
    /// back.
    pub async fn advance(
        &self,
        shard: u8,
        from: Sequence,
        to: Sequence,
    ) -> Result<Sequence, Error> {
        let mut connection = self.connection.clone();
        let mut write = self.scripts.advance.key(key::checkpoint(shard));
        let write = write.arg(from.get()).arg(to.get());
        let noted: u64 = write.invoke_async(&mut connection).await?;
        Ok(Sequence::new(noted))
    }
}
