//! Verifies requests one by one, each with all its commits.

use std::collections::HashSet;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use nats::{Commit, Start};

use super::run::Run;
use super::{Problem, documents, readable};
use crate::live::{self, Ahead};
use crate::source::Source;
use crate::{Error, redecide};

impl Run {
    /// Verifies every request with a commit since this time.
    pub async fn since(&mut self, since: Timestamp) -> Result<(), Error> {
        let mut ids = HashSet::new();
        for (shard, extent) in self.live.extents().await? {
            let start = Start::Time(since);
            let mut ahead = Ahead::open(&self.live, shard, start, extent.last).await?;
            while let Some(chunk) = ahead.next().await? {
                // An unreadable commit is found when its request is read.
                ids.extend(chunk.into_iter().filter_map(|commit| match commit {
                    Ok(commit) => Some(commit.request),
                    Err(unreadable) => unreadable.request,
                }));
            }
        }
        self.report.requests = ids.len() as u64;
        for id in ids {
            if let Some(commits) = self.commits(id).await? {
                self.whole(id, commits).await?;
            }
        }
        self.end(false).await
    }

    /// Verifies one request, including its decisions.
    pub async fn one(&mut self, id: RequestId) -> Result<(), Error> {
        self.report.requests = 1;
        let Some(commits) = self.commits(id).await? else {
            return Ok(());
        };
        if commits.is_empty() {
            return Err(live::absent(id));
        }
        let source = Source::Live(Box::new(self.live.clone()));
        let divergence = redecide::request(&source, &commits, None).await?;
        if let Some(d) = divergence {
            self.report.problem(Problem {
                request_id: Some(id),
                kind: "decision",
                sequence: Some(d.sequence),
                key: None,
                message: format!(
                    "this build decides event {} differently: {}; recorded is {}",
                    d.index,
                    d.decided.as_ref().map_or("nothing", |event| event.name()),
                    d.recorded.as_ref().map_or("nothing", |event| event.name()),
                ),
            });
        }
        documents::compare(&source, id, &commits, &mut self.report).await?;
        self.whole(id, commits).await?;
        self.end(false).await
    }

    /// Compares the task documents of every request that the run has read.
    pub async fn documents(&mut self) -> Result<(), Error> {
        let source = Source::Live(Box::new(self.live.clone()));
        let mut ids: Vec<RequestId> = self.checked.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            // The scan of the log has reported an unreadable commit.
            if let Ok(commits) = readable(self.live.log.read(id, Sequence::NONE).await)? {
                documents::compare(&source, id, &commits, &mut self.report).await?;
            }
        }
        Ok(())
    }

    /// The commits of a request. An unreadable one is a finding.
    async fn commits(&mut self, id: RequestId) -> Result<Option<Vec<Commit>>, Error> {
        match readable(self.live.log.read(id, Sequence::NONE).await)? {
            Ok(commits) => Ok(Some(commits)),
            Err(message) => {
                self.report.problem(Problem {
                    request_id: Some(id),
                    kind: "log",
                    sequence: None,
                    key: None,
                    message,
                });
                Ok(None)
            }
        }
    }

    async fn whole(&mut self, id: RequestId, commits: Vec<Commit>) -> Result<(), Error> {
        let first = self
            .live
            .connection
            .extent(id.partition().shard(self.live.log.shards()))
            .await?;
        self.take_in(commits, first.first).await
    }
}
