//! Folds the log into staged views, and stores them with the progress.

use std::collections::HashSet;

use domain::request::{RequestId, Sequence};
use history::Error;
use nats::{Commit, Start, UnreadableCommit};
use projections::{View, fold};

use super::{Rebuild, Step};
use history::live::Ahead;

/// The most views that are held in memory.
const MAX_HELD: usize = 20_000;

impl Rebuild<'_> {
    pub(super) async fn fold_shard(&mut self, shard: u8, last: Sequence) -> Result<(), Error> {
        let index = usize::from(shard);
        if self.progress.next.len() <= index {
            self.progress.next.resize(index + 1, Sequence::FIRST);
        }
        let start = Start::Sequence(self.progress.next[index]);
        let mut ahead = Ahead::at_once(&self.live, shard, start, last).await?;
        let mut unkept = 0;
        while let Some(chunk) = ahead.next().await? {
            // A view never skips an event, so an unreadable commit stops a rebuild. The view of a
            // commit that ended the projector stops there, as in the projector.
            let commits = chunk
                .into_iter()
                .filter(|commit| !self.is_convicted(commit))
                .collect::<Result<Vec<Commit>, _>>()
                .map_err(|unreadable| unreadable.error)?;
            let last = commits.last();
            let after = last.map_or(Sequence::NONE, |commit| commit.sequence.next());
            self.take_in(&commits).await?;
            self.progress.next[index] = after;
            self.progress.commits += commits.len() as u64;
            unkept += commits.len() as u64;
            if unkept >= self.keep_every {
                self.keep().await?;
                unkept = 0;
            }
            let (commits, events) = (self.progress.commits, self.folded);
            (self.show)(Step::Folded { commits, events });
        }
        Ok(())
    }

    fn is_convicted(&self, commit: &Result<Commit, UnreadableCommit>) -> bool {
        let (request, sequence) = match commit {
            Ok(commit) => (Some(commit.request), commit.sequence),
            Err(unreadable) => (unreadable.request, unreadable.sequence),
        };
        let from = request.and_then(|request| self.convicted.get(&request));
        from.is_some_and(|from| sequence >= *from)
    }

    async fn take_in(&mut self, commits: &[Commit]) -> Result<(), Error> {
        let missing: HashSet<RequestId> = commits
            .iter()
            .filter(|commit| {
                commit.previous > Sequence::NONE && !self.held.contains_key(&commit.request)
            })
            .map(|commit| commit.request)
            .collect();
        if !missing.is_empty() {
            let missing: Vec<RequestId> = missing.into_iter().collect();
            for view in self.staging.views(&missing).await? {
                self.held.insert(view.request_id, view);
            }
        }
        for commit in commits {
            let events = commit.events.len() as u64;
            self.progress.events += events;
            self.folded += events;
            let before = self.held.remove(&commit.request);
            if let Some(view) = fold(before, commit.borrowed()) {
                self.dirty.insert(commit.request);
                self.held.insert(commit.request, view);
            }
        }
        Ok(())
    }

    /// Stores the changed views, and drops those of ended requests from memory.
    pub(super) async fn keep(&mut self) -> Result<(), Error> {
        let dirty = std::mem::take(&mut self.dirty);
        let views: Vec<&View> = dirty.iter().filter_map(|id| self.held.get(id)).collect();
        self.staging.keep(&views, &self.progress).await?;
        self.held.retain(|_, view| !view.status.is_terminal());
        if self.held.len() > MAX_HELD {
            self.held.clear();
        }
        Ok(())
    }
}
