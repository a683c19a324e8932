//! The tasks of recently read requests. With them, a page costs only the new part of the log
//! instead of all of it.

use std::sync::Arc;

use axum::http::StatusCode;
use domain::request::RequestId;
use projections::Tasks;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::http::problem::Problem;
use crate::state::Api;

/// The maximum size of all cached indexes, in bytes. A larger index is rebuilt for each answer.
const KEPT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The expected number of cached requests.
const KEPT_COUNT: usize = 1_000;
/// The cost of an empty index, in bytes.
const EMPTY_BYTES: usize = 256;
/// How many commits one read returns.
const PAGE: usize = 1_000;

/// The cached indexes.
pub struct Indexes(Cache<RequestId, Kept, Bytes>);

/// The tasks of one request.
#[derive(Default)]
pub struct Index(Mutex<Tasks>);

/// An index with its size at the time of insertion, in bytes. The cache requires that the weight of
/// an entry does not change while the entry is there.
#[derive(Clone, Default)]
struct Kept {
    index: Arc<Index>,
    bytes: usize,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<RequestId, Kept> for Bytes {
    fn weight(&self, _request: &RequestId, kept: &Kept) -> u64 {
        (kept.bytes + EMPTY_BYTES) as u64
    }
}

impl Indexes {
    pub fn new() -> Self {
        Self(Cache::with_weighter(KEPT_COUNT, KEPT_MAX_BYTES, Bytes))
    }

    /// The index of a request; it may be out of date.
    pub fn of(&self, request: RequestId) -> Arc<Index> {
        if let Some(kept) = self.0.get(&request) {
            return kept.index;
        }
        let kept = Kept::default();
        self.0.insert(request, kept.clone());
        kept.index
    }
}

impl Index {
    /// Brings the index up to date. A concurrent caller waits, and then uses the result.
    pub async fn up_to_date(
        self: &Arc<Self>,
        api: &Api,
        request: RequestId,
    ) -> Result<MutexGuard<'_, Tasks>, Problem> {
        let mut tasks = self.0.lock().await;
        let (before, mut turn) = (tasks.bytes(), None);
        let mut next = Some(tasks.sequence());
        while let Some(after) = next {
            let page = api.log.read_page(request, after, PAGE).await?;
            next = page.next;
            if next.is_some() && turn.is_none() {
                // Reading a whole log takes time, so only a few callers read one at once.
                turn = Some(api.scanning.acquire().await.map_err(|_| closed())?);
            }
            for commit in &page.commits {
                commit.borrowed().for_each(|event| tasks.take_in(&event));
            }
        }
        let bytes = tasks.bytes();
        if bytes != before {
            let index = self.clone();
            api.indexes.0.insert(request, Kept { index, bytes });
        }
        Ok(tasks)
    }
}

fn closed() -> Problem {
    let message = "the tasks cannot be read now; try again";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "log-unavailable", message).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_index_is_kept_for_a_request_and_one_that_is_too_large_is_not() {
        let indexes = Indexes::new();
        let request = |number| RequestId::new(uuid::Uuid::from_u128(number));
        let index = indexes.of(request(1));
        assert!(Arc::ptr_eq(&index, &indexes.of(request(1))));
        let most = usize::try_from(KEPT_MAX_BYTES).unwrap();
        let bytes = most / 4;
        for number in 2..20 {
            let index = indexes.of(request(number));
            indexes.0.insert(request(number), Kept { index, bytes });
            assert!(indexes.0.weight() <= KEPT_MAX_BYTES);
        }
        let index = indexes.of(request(30));
        let bytes = most + 1;
        indexes.0.insert(request(30), Kept { index, bytes });
        assert!(indexes.0.get(&request(30)).is_none());
    }
}
