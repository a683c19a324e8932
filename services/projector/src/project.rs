//! Projecting commits into the views and the feed, together or one by one.

use std::slice;

use domain::request::{RequestId, Sequence};
use nats::{Commit, Delivery, UnreadableCommit};

use crate::shard::Shard;
use crate::{Error, feed};

/// Why a view is stopped if its projection ended the process.
const CONVICTED: &str = "its projection ended the process again and again";

/// The outputs to make from commits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Views, and events of the feed.
    All,
    /// Only views, because the feed already has the events.
    Views,
}

pub type Commits = Vec<Result<Commit, UnreadableCommit>>;

impl Shard {
    /// Projects deliveries in the order of the log.
    pub(crate) async fn project_delivered(
        &mut self,
        new: &[(Sequence, &Delivery)],
    ) -> Result<(), Error> {
        let (Some((from, _)), Some((to, _))) = (new.first(), new.last()) else {
            return Ok(());
        };
        let suspects = self.suspects.within(*from, *to);
        let stretches = new.chunk_by(|(a, _), (b, _)| {
            suspects.is_empty() || !(suspects.contains(a) || suspects.contains(b))
        });
        for stretch in stretches {
            match stretch {
                [(sequence, delivery)] if suspects.contains(sequence) => {
                    Box::pin(self.suspect(*sequence, Some(delivery), Make::All)).await?;
                }
                stretch => {
                    let deliveries = stretch.iter().map(|(_, delivery)| *delivery);
                    let commits = self.read(deliveries)?;
                    self.project(commits, Make::All).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads delivered commits, except those of stopped views.
    fn read<'a>(&self, all: impl Iterator<Item = &'a Delivery>) -> Result<Commits, Error> {
        let stopped = |request| self.stops.has(request);
        let mut commits = Commits::new();
        for delivery in all {
            if self.stops.any() && delivery.request().is_some_and(stopped) {
                continue;
            }
            runtime::strike("projector", delivery.subject().as_bytes());
            commits.push(UnreadableCommit::or_commit(delivery)?);
        }
        Ok(commits)
    }

    /// Projects a commit alone. It marks the commit even before reading it.
    pub(crate) async fn suspect(
        &mut self,
        sequence: Sequence,
        delivery: Option<&Delivery>,
        make: Make,
    ) -> Result<(), Error> {
        let request = match delivery {
            Some(delivery) => delivery.request(),
            None => self.connection.request_at(self.number, sequence).await?,
        };
        if request.is_some_and(|request| self.stops.has(request)) {
            self.suspects.forget(sequence);
            return Ok(());
        }
        let Some(begun) = self.suspects.begin(sequence, request).await? else {
            tracing::error!(
                sequence = sequence.get(),
                "a commit is skipped: {CONVICTED}"
            );
            return match request {
                Some(request) => self.stops.stop(request, sequence, &CONVICTED).await,
                None => Ok(()),
            };
        };
        let projected = match delivery {
            Some(delivery) => match self.read(std::iter::once(delivery)) {
                Ok(commits) => self.project(commits, make).await,
                Err(error) => Err(error),
            },
            None => self.project_at(sequence, make).await,
        };
        self.suspects.end(begun).await;
        self.suspects.forget(sequence);
        projected
    }

    pub(crate) async fn project(&mut self, commits: Commits, make: Make) -> Result<(), Error> {
        let commits = self.stops.readable(commits).await?;
        if !self.singly {
            return self.together(&commits, make).await;
        }
        for commit in &commits {
            // An earlier commit in this batch may have stopped the view.
            if self.stops.has(commit.request) {
                continue;
            }
            match self.together(slice::from_ref(commit), make).await {
                Err(error) if error.is_of_its_commit() => {
                    self.set_aside(commit.request, commit.sequence, &error)
                        .await?;
                }
                projected => projected?,
            }
        }
        Ok(())
    }

    async fn together(&mut self, commits: &[Commit], make: Make) -> Result<(), Error> {
        let published = self.published;
        let known = commits.partition_point(|commit| commit.sequence <= published);
        let events = match make {
            Make::All => &commits[known..],
            Make::Views => &[],
        };
        let written = self.views.take_in(self.number, commits);
        let published = feed::publish(&mut self.feed, events);
        let (written, published) = tokio::join!(written, published);
        // If only the views failed, the retry must not publish these events again.
        if let (Ok(()), Some(last)) = (&published, events.last()) {
            self.published = last.sequence;
        }
        self.stop(written?).await?;
        Ok(published?)
    }

    /// Stops the views of requests whose logs cannot be read.
    async fn stop(&mut self, unreadable: Vec<UnreadableCommit>) -> Result<(), Error> {
        for commit in unreadable {
            if let Some(request) = commit.request {
                self.stops
                    .stop(request, commit.sequence, &commit.error)
                    .await?;
            }
        }
        Ok(())
    }

    /// Stops the view of a request at a commit that can be read but not projected. Readers of the
    /// request then fold its log.
    async fn set_aside(
        &mut self,
        request: RequestId,
        sequence: Sequence,
        reason: &Error,
    ) -> Result<(), Error> {
        self.stops.stop(request, sequence, reason).await?;
        self.views.withdraw(request).await
    }

    /// Resumes the views that another process had to stop, as far as this one can.
    pub(crate) async fn resume(&mut self) -> Result<(), Error> {
        let (shards, number) = (self.log.shards(), self.number);
        let mine = |request: RequestId| request.partition().shard(shards) == number;
        for stopped in self.stops.untried(mine).await? {
            let request = stopped.request_id;
            if self.suspects.has_convicted(request) {
                continue;
            }
            let Some(begun) = self.suspects.begin_view(request).await? else {
                continue;
            };
            let resumed = self.resume_one(request, stopped.sequence).await;
            self.suspects.end(begun).await;
            resumed?;
        }
        Ok(())
    }

    async fn resume_one(&mut self, request: RequestId, stopped: Sequence) -> Result<(), Error> {
        let commits = match self.log.read(request, Sequence::NONE).await {
            Ok(commits) => commits,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => return self.stops.stop(request, stopped, &error).await,
        };
        match self.take_up(stopped, &commits).await {
            Ok(()) => self.stops.resumed(request).await,
            Err(error) if error.is_transient() => Err(error),
            Err(error) => self.set_aside(request, stopped, &error).await,
        }
    }

    /// Writes a view that was stopped at commit `stopped`, and publishes the events it skipped.
    async fn take_up(&mut self, stopped: Sequence, commits: &[Commit]) -> Result<(), Error> {
        self.views.write_all(self.number, commits).await?;
        // Later commits are still to be delivered.
        let passed = |c: &&Commit| (stopped..=self.noted).contains(&c.sequence);
        let passed: Vec<Commit> = commits.iter().filter(passed).cloned().collect();
        Ok(feed::publish(&mut self.feed, &passed).await?)
    }
}
