//! The views in Redis.

use std::sync::Arc;
use std::time::Duration;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use redis::{AsyncCommands, RedisResult};

use crate::script::Scripts;
use crate::view::View;
use crate::{Connection, Error, Kind, key};

/// How long the key of a write that only checks is kept.
const PROBE_KEPT: Duration = Duration::from_mins(1);
/// How long views that are to be verified are noted where no projector verifies them.
const DOUBTS_KEPT: Duration = Duration::from_hours(1);

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

    /// Whether Redis takes a write now. A Redis that is full, or that lacks its replicas, answers
    /// reads only.
    pub async fn check(&self) -> Result<(), Error> {
        let mut connection = self.connection();
        let write = connection.set_ex(key::PROBE, 1, PROBE_KEPT.as_secs());
        let () = write.await?;
        Ok(())
    }

    /// When a view's keys expire, in Unix seconds; 0 while the request has not ended.
    #[must_use]
    pub fn expiry(&self, view: &View) -> i64 {
        view.completed_at.map_or(0, |at| self.expiry_at(at))
    }

    /// When the keys of a request that ended at this time expire, in Unix seconds.
    pub(crate) fn expiry_at(&self, ended: Timestamp) -> i64 {
        let keep = i64::try_from(self.time_to_live.as_secs()).unwrap_or(i64::MAX);
        ended.as_second().saturating_add(keep)
    }

    /// The sequence up to which a shard is noted as projected; `NONE` before the first.
    pub async fn checkpoint(&self, shard: u8) -> Result<Sequence, Error> {
        let noted: RedisResult<Option<u64>> = self.connection().get(key::checkpoint(shard)).await;
        let noted = noted.map_err(|error| Error::of_key(key::checkpoint(shard), error))?;
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
        let noted: RedisResult<u64> = write.invoke_async(&mut connection).await;
        let noted = noted.map_err(|error| Error::of_key(key::checkpoint(shard), error))?;
        Ok(Sequence::new(noted))
    }

    /// Deletes a key of another type, and the checkpoint of a shard. The projector then builds the
    /// views of the shard anew, and with them the content of the key.
    pub async fn discard(&self, key: &str, shard: u8) -> Result<(), Error> {
        let mut connection = self.connection();
        let _: i64 = connection.del(key).await?;
        let _: i64 = connection.del(key::checkpoint(shard)).await?;
        Ok(())
    }

    /// Notes that the view of a request is to be verified. Any projector of the shard does so.
    pub async fn doubt(&self, shard: u8, request: RequestId) -> Result<(), Error> {
        let mut connection = self.connection();
        let _: i64 = connection
            .sadd(key::doubts(shard), request.to_string())
            .await?;
        let kept = i64::try_from(DOUBTS_KEPT.as_secs()).unwrap_or(i64::MAX);
        let _: bool = connection.expire(key::doubts(shard), kept).await?;
        Ok(())
    }

    /// Takes some requests of a shard whose views are to be verified, at most `limit`.
    pub async fn doubts(&self, shard: u8, limit: usize) -> Result<Vec<RequestId>, Error> {
        let key = key::doubts(shard);
        let mut take = redis::cmd("SPOP");
        take.arg(&key).arg(limit);
        let taken: RedisResult<Vec<String>> = take.query_async(&mut self.connection()).await;
        let taken = taken.map_err(|error| Error::of_key(key, error))?;
        Ok(taken.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Removes all that Redis has of a request.
    pub async fn remove_request(&self, shard: u8, request: RequestId) -> Result<(), Error> {
        let mut connection = self.connection();
        self.remove_idempotency(request).await?;
        for key in Kind::all().filter_map(|kind| kind.part().key(request)) {
            let _: i64 = connection.del(key).await?;
        }
        let id = request.to_string();
        // The view that named the tenant may be gone.
        for tenant in self.tenants().await? {
            for key in [key::index(&tenant, shard), key::expiring(&tenant, shard)] {
                let removed: RedisResult<i64> = connection.zrem(&key, &id).await;
                removed.map_err(|error| Error::of_key(key, error))?;
            }
        }
        Ok(())
    }
}
