//! The views of requests that are going on, and their way into Redis.

use std::collections::HashMap;

use domain::request::{Event, RequestId};
use futures::future::try_join_all;
use moka::sync::Cache;
use nats::{Commit, Log, UnreadableCommit};
use projections::{Store, View, fold};

use crate::Error;

/// How many views a projector keeps; a view that is not kept is folded from the log.
const CACHED_VIEWS: u64 = 20_000;

/// Folds commits into views.
pub struct Views {
    log: Log,
    store: Store,
    kept: Cache<RequestId, View>,
}

impl Views {
    pub fn new(log: Log, store: Store) -> Self {
        Self {
            log,
            store,
            kept: Cache::new(CACHED_VIEWS),
        }
    }

    /// Folds these commits, which are in the order of the log, and writes each view that
    /// changed once, and its place in the index of this shard. Gives those of which an earlier
    /// commit cannot be read.
    pub async fn take_in(
        &self,
        shard: u8,
        commits: &[Commit],
    ) -> Result<Vec<UnreadableCommit>, Error> {
        let mut by_request: HashMap<RequestId, Vec<&Commit>> = HashMap::new();
        for commit in commits {
            by_request.entry(commit.request).or_default().push(commit);
        }
        let changes = by_request
            .into_iter()
            .map(|(request, commits)| self.change_readable(request, commits));
        let mut listed = Vec::new();
        let mut unreadable = Vec::new();
        for folded in try_join_all(changes).await? {
            match folded {
                Ok(view) => listed.extend(view),
                Err(commit) => unreadable.push(commit),
            }
        }
        self.store.index(shard, &listed).await?;
        Ok(unreadable)
    }

    async fn change_readable(
        &self,
        request: RequestId,
        commits: Vec<&Commit>,
    ) -> Result<Result<Option<View>, UnreadableCommit>, Error> {
        let sequence = commits.first().map_or(0, |commit| commit.previous);
        match self.change(request, commits).await {
            Err(Error::Nats(error @ nats::Error::Corrupt { .. })) => Ok(Err(UnreadableCommit {
                sequence,
                request: Some(request),
                error,
            })),
            changed => changed.map(Ok),
        }
    }

    /// Writes the view of a request from all its commits.
    pub async fn write_all(&self, shard: u8, commits: &[Commit]) -> Result<(), Error> {
        if let Some(view) = fold(None, commits.iter().flat_map(Commit::borrowed)) {
            self.kept.invalidate(&view.request_id);
            self.store.put(&view, 0).await?;
            self.store.index(shard, &[view]).await?;
        }
        Ok(())
    }

    /// Gives the view where its place in the index is to be written: at the beginning, at the
    /// end, and where a request that had ended runs again.
    async fn change(
        &self,
        request: RequestId,
        commits: Vec<&Commit>,
    ) -> Result<Option<View>, Error> {
        let before = self.before(request, &commits).await?;
        let written = before.as_ref().map_or(0, |view| view.seq);
        let events = commits.iter().flat_map(|commit| commit.borrowed());
        let Some(view) = fold(before, events) else {
            return Ok(None);
        };
        if view.seq == written {
            return Ok(None);
        }
        self.store.put(&view, written).await?;
        let terminal = view.status.is_terminal();
        let events = commits.iter().flat_map(|commit| &commit.events);
        let listed = terminal
            || events
                .into_iter()
                .any(|event| matches!(event, Event::Received(_) | Event::Redriven(_)));
        if terminal {
            self.kept.invalidate(&request);
            return Ok(Some(view));
        }
        self.kept.insert(request, view.clone());
        Ok(listed.then_some(view))
    }

    /// The view before these commits: kept, or none yet, or folded from the log.
    async fn before(&self, request: RequestId, commits: &[&Commit]) -> Result<Option<View>, Error> {
        if let Some(view) = self.kept.get(&request) {
            return Ok(Some(view));
        }
        let Some(first) = commits.first().filter(|first| first.previous > 0) else {
            return Ok(None);
        };
        let earlier = self.log.read(request, 0).await?;
        let events = earlier
            .iter()
            .filter(|commit| commit.sequence < first.sequence)
            .flat_map(Commit::borrowed);
        let view = fold(None, events);
        if let Some(view) = &view {
            // Whatever Redis has of it may be gone: all of it is written again.
            self.store.put(view, 0).await?;
        }
        Ok(view)
    }

    /// Forgets what was written: Redis is not what it was.
    pub fn forget(&self) {
        self.kept.invalidate_all();
    }
}
