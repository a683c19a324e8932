use std::sync::Arc;

use domain::request::{RequestId, Sequence};
use quick_cache::sync::Cache;

/// The number of requests whose last reported sequence a process remembers.
const SEEN_MAX: usize = 100_000;

/// The last sequence of each request that this process has reported to a caller. No later answer
/// may be older, so that a caller reads its own writes.
#[derive(Clone)]
pub struct Seen(Arc<Cache<RequestId, Sequence>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(Cache::new(SEEN_MAX)))
    }
}

impl Seen {
    /// The last sequence that was reported for a request.
    #[must_use]
    pub fn of(&self, request: RequestId) -> Option<Sequence> {
        self.0.get(&request)
    }

    /// Remembers a reported sequence.
    pub fn note(&self, request: RequestId, sequence: Sequence) {
        self.0.insert(request, sequence);
    }
}
