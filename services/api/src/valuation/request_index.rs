//! All requests, ordered by the time they were received.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use domain::access::{Scope, Tenant};
use domain::request::{RequestId, Sequence};
use nats::Scan;
use projections::{Placed, View};

use crate::http::problem::Problem;
use crate::state::Api;

/// How many requests the list examines together.
pub const CHUNK: usize = 200;
/// How many commits one read of the log returns.
const SCAN_CHUNK: usize = 1_000;

/// The index of all requests. It joins the index in Redis with the part of the log that the index
/// does not cover. When Redis is empty or unavailable, that part is the whole log.
pub struct RequestIndex {
    /// The indexes to read, each of a tenant and a shard.
    indexes: Vec<(Tenant, u8)>,
    /// The requests that the index does not have yet.
    begun: BTreeSet<Placed>,
    /// The last sequence of each request that has new commits since then.
    reached: BTreeMap<RequestId, Sequence>,
}

impl RequestIndex {
    /// Reads the part of the log that the index does not cover.
    pub async fn read(api: &Api, scope: &Scope) -> Result<Self, Problem> {
        let mut index = Self {
            indexes: Vec::new(),
            begun: BTreeSet::new(),
            reached: BTreeMap::new(),
        };
        let mut indexed = Vec::new();
        for shard in 0..api.log.shards() {
            let noted = api.store.checkpoint(shard).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the index cannot be read; reading the log");
                Sequence::NONE
            });
            if noted > Sequence::NONE {
                indexed.push(shard);
            }
            index.read_log(api, shard, noted.next()).await?;
        }
        if !indexed.is_empty() {
            for tenant in tenants(api, scope).await? {
                let shards = indexed.iter();
                index
                    .indexes
                    .extend(shards.map(|shard| (tenant.clone(), *shard)));
            }
        }
        Ok(index)
    }

    async fn read_log(&mut self, api: &Api, shard: u8, from: Sequence) -> Result<(), Problem> {
        // Reading a whole log takes time and memory, so only a few callers read it at once.
        let Ok(_turn) = api.scanning.acquire().await else {
            let message = "the list cannot be made now; try again";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "list-unavailable", message).retry_after(1));
        };
        let mut scan = Scan::open(&api.connection, shard, from, Sequence::MAX).await?;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            // A commit that cannot be read must not hide the others.
            for commit in commits.into_iter().flatten() {
                if commit.previous == Sequence::NONE {
                    self.begun.insert(Placed::new(commit.request, commit.at));
                }
                self.reached.insert(commit.request, commit.sequence);
            }
        }
        Ok(())
    }

    /// The next requests below a position, newest first.
    pub async fn chunk(
        &self,
        api: &Api,
        below: Option<Placed>,
        since: i64,
    ) -> Result<Vec<Placed>, Problem> {
        let begun = self.begun.iter().rev();
        let mut chunk: BTreeSet<Placed> = begun
            .filter(|place| below.is_none_or(|below| **place < below) && place.micros >= since)
            .take(CHUNK)
            .copied()
            .collect();
        for (tenant, shard) in &self.indexes {
            let of = (tenant, *shard);
            let newest = api.store.newest(of, below, since, CHUNK).await;
            chunk.extend(newest.map_err(unavailable)?);
        }
        Ok(chunk.into_iter().rev().take(CHUNK).collect())
    }

    /// The view of a request; `None` when the request has expired.
    pub async fn view(&self, api: &Api, request: RequestId) -> Result<Option<View>, Problem> {
        let reached = self
            .reached
            .get(&request)
            .copied()
            .unwrap_or(Sequence::NONE);
        let view = match api.view(request, reached, |_| true).await {
            Err(problem) if problem.is_unreadable() => return Ok(None),
            view => view?,
        };
        Ok(view.filter(|view| api.seconds_left(view) != Some(0)))
    }
}

/// The tenants whose indexes the list reads.
async fn tenants(api: &Api, scope: &Scope) -> Result<Vec<Tenant>, Problem> {
    match scope {
        Scope::One(tenant) => Ok(vec![tenant.clone()]),
        Scope::Every => api.store.tenants().await.map_err(unavailable),
    }
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn unavailable(error: projections::Error) -> Problem {
    tracing::warn!(%error, "the request index in Redis became unavailable");
    let message = "the list cannot be made now; try again";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "list-unavailable", message).retry_after(1)
}
