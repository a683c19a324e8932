use std::sync::Arc;

use domain::request::{RequestId, Sequence};
use quick_cache::sync::Cache;

/// For how many requests a process remembers the last sequence that it has told.
const SEEN_MAX: usize = 100_000;

/// The last sequence of each request that this process has told a caller of. No later answer may be
/// older, so that a caller reads its own writes.
#[derive(Clone)]
pub struct Seen(Arc<Cache<RequestId, Sequence>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(Cache::new(SEEN_MAX)))
    }
}

impl Seen {
    /// The last sequence that was told of a request.
    #[must_use]
    pub fn of(&self, request: RequestId) -> Option<Sequence> {
        self.0.get(&request)
    }

    /// Remembers a sequence that is told.
    pub fn note(&self, request: RequestId, sequence: Sequence) {
        self.0.insert(request, sequence);
    }
}
