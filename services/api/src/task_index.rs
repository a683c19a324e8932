//! The tasks of requests that were asked for lately, so that a page costs what is new in the log
//! and not all of it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use domain::request::RequestId;
use projections::Tasks;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::failure::Problem;
use crate::state::Api;

/// So many bytes the indexes that are kept have. One that has more is made for each answer.
const KEPT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How many requests are expected.
const KEPT: usize = 1_000;
/// What one costs with nothing in it.
const EMPTY_BYTES: usize = 256;
/// How many commits are read together.
const PAGE: usize = 1_000;

/// The indexes that are kept.
pub struct Indexes(Cache<RequestId, Arc<Index>, Bytes>);

/// The tasks of one request.
#[derive(Default)]
pub struct Index {
    tasks: Mutex<Tasks>,
    bytes: AtomicUsize,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<RequestId, Arc<Index>> for Bytes {
    fn weight(&self, _request: &RequestId, index: &Arc<Index>) -> u64 {
        (index.bytes.load(Ordering::Relaxed) + EMPTY_BYTES) as u64
    }
}

impl Indexes {
    pub fn new() -> Self {
        Self(Cache::with_weighter(KEPT, KEPT_MAX_BYTES, Bytes))
    }

    /// The index of a request, which may not be up to date.
    pub fn of(&self, request: RequestId) -> Arc<Index> {
        if let Some(index) = self.0.get(&request) {
            return index;
        }
        let index = Arc::new(Index::default());
        self.0.insert(request, index.clone());
        index
    }
}

impl Index {
    /// Brings it up to date. Whoever asks meanwhile waits, and has what was read.
    pub async fn up_to_date(
        self: &Arc<Self>,
        api: &Api,
        request: RequestId,
    ) -> Result<MutexGuard<'_, Tasks>, Problem> {
        let mut tasks = self.tasks.lock().await;
        let mut turn = None;
        let mut next = Some(tasks.sequence());
        while let Some(after) = next {
            let page = api.log.read_page(request, after, PAGE).await?;
            next = page.next;
            if next.is_some() && turn.is_none() {
                // A whole log takes time: few callers at a time read one.
                turn = Some(api.scanning.acquire().await.map_err(|_| closed())?);
            }
            for commit in &page.commits {
                commit.borrowed().for_each(|event| tasks.take_in(&event));
            }
        }
        let bytes = tasks.bytes();
        if self.bytes.swap(bytes, Ordering::Relaxed) != bytes {
            // It weighs more now.
            api.indexes.0.insert(request, self.clone());
        }
        Ok(tasks)
    }
}

fn closed() -> Problem {
    let message = "the tasks cannot be read now; try again";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "log-unavailable", message).retry_after(1)
}
