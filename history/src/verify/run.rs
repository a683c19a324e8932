//! One run of the verification, over a part of the log or all of it.

use std::collections::{HashMap, HashSet};

use domain::request::{RequestId, Sequence};
use nats::{Commit, Start};
use projections::{Store, View, fold};

use super::dead_letters::DeadLetters;
use super::invariants::Checked;
use super::payloads::Payloads;
use super::views::Views;
use super::{Problem, Report, orphans};
use crate::Error;
use crate::live::{Ahead, Chunk, Live};

/// How many views of open requests a run keeps while it reads the log. It reads any further request
/// on its own afterwards. Together with the few bytes for each ended request, this bounds the
/// memory.
const MAX_OPEN: usize = 20_000;

/// One run over a part of the log.
pub struct Run {
    pub(super) live: Live,
    views: Option<Views>,
    payloads: Payloads,
    dead_letters: DeadLetters,
    pub(super) report: Report,
    pub(super) checked: HashMap<RequestId, Checked>,
    /// The views of open requests, folded as far as the run has read.
    open: HashMap<RequestId, View>,
    /// The requests to read on their own afterwards.
    again: HashSet<RequestId>,
}

impl Run {
    /// A run on this log, and on these views if Redis has them.
    #[must_use]
    pub fn on(live: Live, views: Option<Store>) -> Self {
        Self {
            payloads: Payloads::new(live.payloads.clone()),
            live,
            views: views.map(Views::new),
            dead_letters: DeadLetters::default(),
            report: Report::default(),
            checked: HashMap::new(),
            open: HashMap::new(),
            again: HashSet::new(),
        }
    }

    /// Verifies the whole log, and finds keys and dead letters that the log does not explain.
    pub async fn all(&mut self) -> Result<(), Error> {
        self.dead_letters.keep_all();
        for (shard, extent) in self.live.extents().await? {
            let start = Start::Sequence(Sequence::FIRST);
            let mut ahead = Ahead::open(&self.live, shard, start, extent.last).await?;
            while let Some(chunk) = ahead.next().await? {
                let commits = self.readable(chunk);
                self.take_in(commits, extent.first).await?;
            }
        }
        self.report.requests = self.checked.len() as u64;
        self.end(true).await?;
        self.orphans().await
    }

    async fn orphans(&mut self) -> Result<(), Error> {
        let Some(views) = &self.views else {
            return Ok(());
        };
        let extents = self.live.extents().await?;
        let kept_for = extents.iter().map(|(_, extent)| extent.kept_for).min();
        let known = |id| self.checked.contains_key(&id);
        let store = views.store();
        let kept_for = kept_for.unwrap_or_default();
        orphans::find(&self.live, store, known, kept_for, &mut self.report).await
    }

    /// The readable commits of a chunk. An unreadable one is a finding.
    fn readable(&mut self, chunk: Chunk) -> Vec<Commit> {
        let mut commits = Vec::with_capacity(chunk.len());
        for commit in chunk {
            match commit {
                Ok(commit) => commits.push(commit),
                Err(unreadable) => {
                    if let Some(id) = unreadable.request {
                        self.checked.entry(id).or_default().skip();
                        self.open.remove(&id);
                        self.again.insert(id);
                    }
                    self.report.problem(Problem {
                        request_id: unreadable.request,
                        kind: "log",
                        sequence: Some(unreadable.sequence),
                        key: None,
                        message: unreadable.error.to_string(),
                    });
                }
            }
        }
        commits
    }

    pub(super) async fn take_in(
        &mut self,
        commits: Vec<Commit>,
        first: Sequence,
    ) -> Result<(), Error> {
        for commit in commits {
            self.report.commits += 1;
            self.report.events += commit.events.len() as u64;
            let checked = self.checked.entry(commit.request).or_default();
            checked.take_in(&commit, first, &mut self.report);
            self.payloads.take_in(&commit, &mut self.report).await;
            self.dead_letters.take_in(&commit);
            if self.views.is_some() {
                self.fold(commit).await?;
            }
        }
        Ok(())
    }

    /// Folds a commit into the view of its request. The view is compared when the request has
    /// ended.
    async fn fold(&mut self, commit: Commit) -> Result<(), Error> {
        let id = commit.request;
        let before = self.open.remove(&id);
        let known = before.is_some() || commit.previous == Sequence::NONE;
        if !known || self.open.len() >= MAX_OPEN || self.again.contains(&id) {
            self.again.insert(id);
            return Ok(());
        }
        let Some(view) = fold(before, commit.borrowed()) else {
            return Ok(());
        };
        if commit.is_terminal() {
            if let Some(views) = &mut self.views {
                self.again.extend(views.take(view).await?);
            }
        } else {
            self.open.insert(id, view);
        }
        Ok(())
    }

    pub(super) async fn end(&mut self, all: bool) -> Result<(), Error> {
        if let Some(views) = &mut self.views {
            for view in std::mem::take(&mut self.open).into_values() {
                self.again.extend(views.take(view).await?);
            }
            self.again.extend(views.rest().await?);
            self.report.views = views.compared;
            views
                .again(&self.live, &self.again, &mut self.report)
                .await?;
        }
        self.payloads.rest(&mut self.report).await;
        self.dead_letters
            .compare(&self.live, all, &mut self.report)
            .await
    }
}
