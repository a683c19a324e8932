//! All requests by the time they were received.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use domain::request::RequestId;
use nats::Scan;
use projections::{Placed, View};

use crate::failure::Problem;
use crate::state::Api;

/// How many requests are looked at together.
pub const CHUNK: usize = 200;
/// How many commits are read from the log together.
const SCAN_CHUNK: usize = 1_000;

/// What there is: the index in Redis as far as it goes, and the log from there on. Where Redis
/// is empty or away, that is the whole log.
pub struct RequestIndex {
    /// Whether a shard's index is to be looked at.
    indexed: Vec<bool>,
    /// The requests that the index does not have yet.
    begun: BTreeSet<Placed>,
    /// How far those went that went on since.
    reached: BTreeMap<RequestId, u64>,
}

impl RequestIndex {
    /// Reads what the index does not have.
    pub async fn read(api: &Api) -> Result<Self, Problem> {
        let mut index = Self {
            indexed: Vec::new(),
            begun: BTreeSet::new(),
            reached: BTreeMap::new(),
        };
        for shard in 0..api.log.shards() {
            let noted = api.store.checkpoint(shard).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the index cannot be read; reading the log");
                0
            });
            index.indexed.push(noted > 0);
            index.read_log(api, shard, noted + 1).await?;
        }
        Ok(index)
    }

    async fn read_log(&mut self, api: &Api, shard: u8, from: u64) -> Result<(), Problem> {
        // A whole log takes time and memory: few callers at a time read it.
        let Ok(_turn) = api.scanning.acquire().await else {
            let message = "the list cannot be made now; try again";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "list-unavailable", message).retry_after(1));
        };
        let mut scan = Scan::open(&api.connection, shard, from, u64::MAX).await?;
        while let Some(commits) = scan.next_each(SCAN_CHUNK).await? {
            // One that cannot be read hides no other.
            for commit in commits.into_iter().flatten() {
                if commit.previous == 0 {
                    self.begun.insert(Placed::new(commit.request, commit.at));
                }
                self.reached.insert(commit.request, commit.sequence);
            }
        }
        Ok(())
    }

    /// The next requests below a place, the newest first.
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
        for (shard, indexed) in (0..).zip(&self.indexed) {
            if *indexed {
                let newest = api.store.newest(shard, below, since, CHUNK).await;
                chunk.extend(newest.map_err(|error| {
                    tracing::warn!(%error, "the index went away");
                    let message = "the list cannot be made now; try again";
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    Problem::new(status, "list-unavailable", message).retry_after(1)
                })?);
            }
        }
        Ok(chunk.into_iter().rev().take(CHUNK).collect())
    }

    /// The view of a request; none where its time has passed.
    pub async fn view(&self, api: &Api, request: RequestId) -> Result<Option<View>, Problem> {
        let reached = self.reached.get(&request).copied().unwrap_or(0);
        let view = match api.view(request, reached).await {
            Err(problem) if problem.is_unreadable() => return Ok(None),
            view => view?,
        };
        Ok(view.filter(|view| api.seconds_left(view) != Some(0)))
    }
}
