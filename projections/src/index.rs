//! The index of requests by the time at which they were received: a sorted set of ids for each
//! shard. Its entries never change, so a repeated write changes nothing.

use std::str::FromStr;

use domain::request::RequestId;
use jiff::Timestamp;
use redis::AsyncCommands;

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
    /// Puts requests into the index of a shard, and notes when they expire from it.
    pub async fn index(
        &self,
        shard: u8,
        views: impl IntoIterator<Item = &View>,
    ) -> Result<(), Error> {
        let mut connection = self.connection();
        let (mut placed, mut ending, mut running) = (Vec::new(), Vec::new(), Vec::new());
        for view in views {
            let id = view.request_id.to_string();
            let place = Placed::new(view.request_id, view.received_at);
            placed.push((place.micros, id.clone()));
            match self.expiry(view) {
                0 => running.push(id),
                at => ending.push((at, id)),
            }
        }
        if !placed.is_empty() {
            let _: i64 = connection.zadd_multiple(key::index(shard), &placed).await?;
        }
        if !ending.is_empty() {
            let _: i64 = connection
                .zadd_multiple(key::expiring(shard), &ending)
                .await?;
        }
        if !running.is_empty() {
            // The request may have ended before, and been redriven.
            let _: i64 = connection.zrem(key::expiring(shard), &running).await?;
        }
        Ok(())
    }

    /// Removes requests from the index whose time has passed. Where there are very many, some stay
    /// until the next call.
    pub async fn trim(&self, shard: u8, now: Timestamp) -> Result<(), Error> {
        let mut connection = self.connection();
        let (index, expiring) = (key::index(shard), key::expiring(shard));
        for _ in 0..TRIM_ROUNDS {
            let gone: Vec<String> = connection
                .zrangebyscore_limit(&expiring, "-inf", now.as_second(), 0, TRIM_AT_ONCE)
                .await?;
            if gone.is_empty() {
                break;
            }
            let _: i64 = connection.zrem(&index, &gone).await?;
            let _: i64 = connection.zrem(&expiring, &gone).await?;
        }
        Ok(())
    }

    /// The requests of a shard before `below`, down to the time `since`, newest first and at most
    /// `limit`.
    pub async fn newest(
        &self,
        shard: u8,
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
                    key::index(shard),
                    &most,
                    since,
                    offset,
                    isize::try_from(limit).unwrap_or(isize::MAX),
                )
                .await?;
            let (got, corrupt) = (page.len(), key::index(shard));
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
