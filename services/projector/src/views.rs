//! The views of open requests, and writing them to Redis.

use std::collections::HashMap;

use domain::request::{Event, RequestId, Sequence};
use futures::future::try_join_all;
use nats::{Commit, Connection, Log, UnreadableCommit};
use projections::{Store, View, fold};
use quick_cache::sync::Cache;

use crate::Error;

/// How many views a projector caches; any other view is folded from the log.
const CACHED_VIEWS: usize = 20_000;

/// A view that changed.
struct Change {
    view: View,
    /// The sequence up to which the view was written before.
    written: Sequence,
    /// Whether to write the index entry: with the whole view, and at the end.
    listing: bool,
}

/// Folds commits into views.
pub struct Views {
    connection: Connection,
    log: Log,
    store: Store,
    kept: Cache<RequestId, View>,
}

impl Views {
    pub fn new(connection: Connection, log: Log, store: Store) -> Self {
        Self {
            connection,
            log,
            store,
            kept: Cache::new(CACHED_VIEWS),
        }
    }

    /// Folds these commits, which are in the order of the log. It writes each changed view once,
    /// with its entry in the index of this shard. Returns an entry for each request of which
    /// an earlier commit cannot be read.
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
        let mut done = Vec::new();
        let mut unreadable = Vec::new();
        for folded in try_join_all(changes).await? {
            match folded {
                Ok(change) => done.extend(change),
                Err(commit) => unreadable.push(commit),
            }
        }
        let views = done.iter().map(|change| (&change.view, change.written));
        self.store.put_all(&views.collect::<Vec<_>>()).await?;
        let listed = done.iter().filter(|change| change.listing);
        let listed = listed.map(|change| &change.view);
        self.store.index(shard, listed).await?;
        // Update the cache only now, because everything is done again after an error.
        for Change { view, .. } in done {
            if view.status.is_terminal() {
                self.kept.remove(&view.request_id);
            } else {
                self.kept.insert(view.request_id, view);
            }
        }
        Ok(unreadable)
    }

    async fn change_readable(
        &self,
        request: RequestId,
        commits: Vec<&Commit>,
    ) -> Result<Result<Option<Change>, UnreadableCommit>, Error> {
        let sequence = commits
            .first()
            .map_or(Sequence::NONE, |commit| commit.previous);
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
            self.kept.remove(&view.request_id);
            self.store.put(&view, Sequence::NONE).await?;
            self.store.index(shard, [&view]).await?;
        }
        Ok(())
    }

    /// Folds these commits into the view of their request. Returns `None` if the view has seen
    /// them, or if age has removed the beginning of the request.
    async fn change(
        &self,
        request: RequestId,
        commits: Vec<&Commit>,
    ) -> Result<Option<Change>, Error> {
        let kept = self.kept.get(&request);
        let seen = kept.as_ref().map_or(Sequence::NONE, |view| view.seq);
        let new = &commits[commits.partition_point(|commit| commit.sequence <= seen)..];
        let Some(first) = new.first() else {
            return Ok(None);
        };
        // A view that this instance keeps may be old: another one may have projected meanwhile.
        let (before, written) = if first.previous == seen {
            (kept, seen)
        } else {
            // Redis may have lost its copy, so the whole view is written.
            (Box::pin(self.folded(request, first)).await?, Sequence::NONE)
        };
        let events = new.iter().flat_map(|commit| commit.borrowed());
        let Some(view) = fold(before, events) else {
            return Ok(None);
        };
        let mut events = new.iter().flat_map(|commit| &commit.events);
        let begins = events.any(|event| matches!(event, Event::Received(_) | Event::Redriven(_)));
        Ok(Some(Change {
            listing: begins || written == Sequence::NONE || view.status.is_terminal(),
            view,
            written,
        }))
    }

    /// The view before this commit, folded from the log. The log that is read must reach the commit
    /// on which this one was decided: a server that lags may have answered.
    async fn folded(&self, request: RequestId, first: &Commit) -> Result<Option<View>, Error> {
        if first.previous == Sequence::NONE {
            return Ok(None);
        }
        let mut commits = self.log.read(request, Sequence::NONE).await?;
        commits.retain(|commit| commit.sequence < first.sequence);
        let read = commits.last().map_or(Sequence::NONE, |last| last.sequence);
        if read != first.previous {
            let shard = request.partition().shard(self.log.shards());
            if self.connection.has_commit(shard, first.previous).await? {
                return Err(Error::Short {
                    request,
                    read,
                    wanted: first.previous,
                });
            }
        }
        Ok(fold(None, commits.iter().flat_map(Commit::borrowed)))
    }

    /// Withdraws the view of a request, so that readers fold the log instead.
    pub async fn withdraw(&self, request: RequestId) -> Result<(), Error> {
        self.kept.remove(&request);
        Ok(self.store.withdraw(request).await?)
    }

    /// Empties the cache, because Redis has lost data.
    pub fn forget(&self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests;
