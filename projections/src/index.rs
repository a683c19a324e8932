//! The index of requests by the time at which they were received: a sorted set of ids for each
//! tenant and shard. Its entries never change, so a repeated write changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::str::FromStr;

use domain::access::Tenant;
use domain::request::RequestId;
use jiff::Timestamp;
use redis::{AsyncCommands, RedisResult};

use crate::{Error, Store, View, key};

/// How many expired entries are removed at once.
const TRIM_AT_ONCE: isize = 1_000;
/// The most rounds of one trim, so that its caller does not wait for long.
const TRIM_ROUNDS: usize = 20;

/// The position of a request among all, newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// When the request was received, in microseconds since 1970: exact in a score's 53 bits.
    pub micros: i64,
    /// The request.
    pub request: RequestId,
}

impl Placed {
    /// The position of a request that was received at this time.
    #[must_use]
    pub fn new(request: RequestId, received_at: Timestamp) -> Self {
        Self {
            micros: received_at.as_microsecond(),
            request,
        }
    }
}

impl Store {
    /// Puts requests into the index of a shard, and notes when they expire from it. The note of a
    /// request that runs again stays until [`Self::trim`] meets it, so that a projector that was
    /// replaced cannot take back the note of a later end.
    pub async fn index(
        &self,
        shard: u8,
        views: impl IntoIterator<Item = &View>,
    ) -> Result<(), Error> {
        let mut by_tenant: BTreeMap<&Tenant, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for view in views {
            let (placed, ending) = by_tenant.entry(&view.tenant).or_default();
            let id = view.request_id.to_string();
            let place = Placed::new(view.request_id, view.received_at);
            placed.push((place.micros, id.clone()));
            match self.expiry(view) {
                0 => {}
                at => ending.push((at, id)),
            }
        }
        for (tenant, (placed, ending)) in by_tenant {
            self.note_tenant(tenant).await?;
            let keys = [key::index(tenant, shard), key::expiring(tenant, shard)];
            for (key, scores) in keys.into_iter().zip([placed, ending]) {
                if !scores.is_empty() {
                    let mut connection = self.connection();
                    let added: RedisResult<i64> = connection.zadd_multiple(&key, &scores).await;
                    added.map_err(|error| Error::of_key(key, error))?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a tenant has requests, before the first of them is in its index.
    async fn note_tenant(&self, tenant: &Tenant) -> Result<(), Error> {
        let Some(name) = tenant.named() else {
            return Ok(());
        };
        let added: RedisResult<i64> = self.connection().sadd(key::TENANTS, name).await;
        added.map_err(|error| Error::of_key(key::TENANTS.to_owned(), error))?;
        Ok(())
    }

    /// Every tenant that has had requests, `default` first.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        let named: RedisResult<BTreeSet<String>> = self.connection().smembers(key::TENANTS).await;
        let named = named.map_err(|error| Error::of_key(key::TENANTS.to_owned(), error))?;
        let named = named.iter().filter_map(|name| name.parse().ok());
        Ok(iter::once(Tenant::default()).chain(named).collect())
    }

    /// Removes requests from the index whose time has passed. A request whose view says that it
    /// runs again, or that it expires later, stays in the index. Where there are very many, some
    /// stay until the next call.
    pub async fn trim(&self, shard: u8, now: Timestamp) -> Result<(), Error> {
        for tenant in self.tenants().await? {
            for _ in 0..TRIM_ROUNDS {
                if !self.trim_some(&tenant, shard, now).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns whether there was anything to remove.
    async fn trim_some(&self, tenant: &Tenant, shard: u8, now: Timestamp) -> Result<bool, Error> {
        let mut connection = self.connection();
        let (index, expiring) = (key::index(tenant, shard), key::expiring(tenant, shard));
        let foreign = |error| Error::of_key(expiring.clone(), error);
        let due =
            connection.zrangebyscore_limit(&expiring, "-inf", now.as_second(), 0, TRIM_AT_ONCE);
        let due: Vec<String> = due.await.map_err(foreign)?;
        if due.is_empty() {
            return Ok(false);
        }
        let ids = due.iter().filter_map(|id| id.parse().ok());
        let kept = self.expiries(ids).await?;
        let later = |at: i64| at == 0 || at > now.as_second();
        let expiry_of = |id: &String| *kept.get(&id.parse::<RequestId>().ok()?)?;
        let stays = |id: &&String| expiry_of(id).is_some_and(later);
        let gone: Vec<&String> = due.iter().filter(|id| !stays(id)).collect();
        if !gone.is_empty() {
            let removed: RedisResult<i64> = connection.zrem(&index, &gone).await;
            removed.map_err(|error| Error::of_key(index, error))?;
        }
        let again = due.iter().filter_map(|id| Some((expiry_of(id)?, id)));
        let again: Vec<(i64, &String)> = again.filter(|(at, _)| *at > now.as_second()).collect();
        if !again.is_empty() {
            let noted: RedisResult<i64> = connection.zadd_multiple(&expiring, &again).await;
            noted.map_err(foreign)?;
        }
        // A note that became later meanwhile stays.
        let mut remove = self.scripts.remove_due.key(&expiring);
        for id in &due {
            remove.arg(id);
        }
        remove.arg(now.as_second());
        let _: i64 = remove.invoke_async(&mut connection).await?;
        Ok(true)
    }

    /// Whether a request is in the index of its tenant and shard.
    pub async fn is_indexed(
        &self,
        tenant: &Tenant,
        shard: u8,
        request: RequestId,
    ) -> Result<bool, Error> {
        let key = key::index(tenant, shard);
        let score: RedisResult<Option<i64>> =
            self.connection().zscore(&key, request.to_string()).await;
        Ok(score.map_err(|error| Error::of_key(key, error))?.is_some())
    }

    /// Requests of a tenant in a shard that were received after the time `after` and before `before`, oldest
    /// first and at most `limit`.
    pub async fn oldest(
        &self,
        (tenant, shard): (&Tenant, u8),
        after: Timestamp,
        before: Timestamp,
        limit: isize,
    ) -> Result<Vec<Placed>, Error> {
        let key = key::index(tenant, shard);
        let (after, before) = (after.as_microsecond(), before.as_microsecond());
        let mut connection = self.connection();
        let page = connection.zrangebyscore_limit_withscores(&key, after, before, 0, limit);
        let page: RedisResult<Vec<(String, i64)>> = page.await;
        let page = page.map_err(|error| Error::of_key(key, error))?;
        let placed = page.into_iter().filter_map(|(id, micros)| {
            let request = id.parse().ok()?;
            Some(Placed { micros, request })
        });
        Ok(placed.collect())
    }

    /// The requests of a tenant in a shard before `below`, down to the time `since`, newest first and at most
    /// `limit`.
    pub async fn newest(
        &self,
        (tenant, shard): (&Tenant, u8),
        below: Option<Placed>,
        since: i64,
        limit: usize,
    ) -> Result<Vec<Placed>, Error> {
        let mut connection = self.connection();
        let most = below.map_or_else(|| "+inf".to_owned(), |below| below.micros.to_string());
        let mut found = Vec::new();
        let mut offset = 0;
        while found.len() < limit {
            let page: Vec<(String, i64)> = connection
                .zrevrangebyscore_limit_withscores(
                    key::index(tenant, shard),
                    &most,
                    since,
                    offset,
                    isize::try_from(limit).unwrap_or(isize::MAX),
                )
                .await?;
            let (got, corrupt) = (page.len(), key::index(tenant, shard));
            for (id, micros) in page {
                let request = RequestId::from_str(&id).map_err(|error| Error::Corrupt {
                    key: corrupt.clone(),
                    reason: error.to_string(),
                })?;
                let placed = Placed { micros, request };
                // Requests of the same microsecond come in the order of their ids.
                if below.is_none_or(|below| placed < below) {
                    found.push(placed);
                }
            }
            if got < limit {
                break;
            }
            offset += isize::try_from(got).unwrap_or(isize::MAX);
        }
        found.truncate(limit);
        Ok(found)
    }
}
