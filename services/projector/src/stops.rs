//! Stopped views. A view that meets a commit it cannot read or project stops there and says so,
//! while the other views go on. A process that can handle the commit resumes the view.

use std::collections::HashSet;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use nats::{Commit, UnreadableCommit};
use projections::{StoppedView, Store};

use crate::Error;

/// The stopped views of a shard.
pub struct Stops {
    store: Store,
    stopped: HashSet<RequestId>,
    /// The stopped views that this process has tried to resume and cannot.
    tried: HashSet<RequestId>,
    /// The stopped views that Redis has not noted yet.
    unsaved: Vec<StoppedView>,
}

impl Stops {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            stopped: HashSet::new(),
            tried: HashSet::new(),
            unsaved: Vec::new(),
        }
    }

    /// How many views are stopped.
    pub fn count(&self) -> usize {
        self.stopped.len()
    }

    /// Stops the view of a request. Where Redis does not note it now, it does later.
    pub async fn stop(
        &mut self,
        request: RequestId,
        sequence: Sequence,
        reason: &impl std::fmt::Display,
    ) {
        let view = StoppedView {
            request_id: request,
            sequence,
            reason: reason.to_string(),
            stopped_at: Timestamp::now(),
        };
        let known = self.stopped.contains(&request);
        if let Err(error) = self.store.stop_view(&view).await
            && !known
        {
            tracing::debug!(%request, %error, "a stopped view is noted later");
            self.unsaved.push(view);
        }
        if self.stopped.insert(request) {
            tracing::error!(
                %request, sequence = sequence.get(), error = %reason,
                "the view of a request stops at this commit, until a process can continue it"
            );
        }
        self.tried.insert(request);
    }

    /// Notes the stopped views that Redis did not take before.
    async fn save(&mut self) -> Result<(), Error> {
        while let Some(view) = self.unsaved.last() {
            self.store.stop_view(view).await?;
            self.unsaved.pop();
        }
        Ok(())
    }

    /// Reloads the stopped views from Redis, which has lost data.
    pub async fn reload(&mut self) -> Result<(), Error> {
        self.save().await?;
        let noted = self.store.stopped_views().await?;
        self.stopped = noted.iter().map(|view| view.request_id).collect();
        Ok(())
    }

    /// Whether any view is stopped.
    pub fn any(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Whether the view of a request is stopped.
    pub fn has(&self, request: RequestId) -> bool {
        self.stopped.contains(&request)
    }

    /// The commits to project, in order. A stopped view skips commits from the unreadable one on.
    pub async fn readable(
        &mut self,
        commits: Vec<Result<Commit, UnreadableCommit>>,
    ) -> Vec<Commit> {
        let mut readable = Vec::with_capacity(commits.len());
        for commit in commits {
            match commit {
                Ok(commit) if self.stopped.contains(&commit.request) => {}
                Ok(commit) => readable.push(commit),
                Err(UnreadableCommit {
                    sequence,
                    request: Some(request),
                    error,
                }) => self.stop(request, sequence, &error).await,
                Err(UnreadableCommit { error, .. }) => {
                    tracing::error!(%error, "a commit that belongs to no request is skipped");
                }
            }
        }
        readable
    }

    /// The stopped views that this process has not yet tried to resume: another process stopped
    /// them.
    pub async fn untried(
        &mut self,
        mine: impl Fn(RequestId) -> bool,
    ) -> Result<Vec<StoppedView>, Error> {
        self.save().await?;
        let mut noted = self.store.stopped_views().await?;
        noted.retain(|view| mine(view.request_id));
        self.stopped = noted.iter().map(|view| view.request_id).collect();
        self.tried.retain(|request| self.stopped.contains(request));
        noted.retain(|view| !self.tried.contains(&view.request_id));
        Ok(noted)
    }

    /// Records that a view goes on.
    pub async fn resumed(&mut self, request: RequestId) -> Result<(), Error> {
        self.store.resume_view(request).await?;
        self.stopped.remove(&request);
        tracing::info!(%request, "the view of a request continues");
        Ok(())
    }
}
