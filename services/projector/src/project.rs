//! Projecting commits into the views and the feed, together or one by one.

use std::slice;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use nats::{Commit, Delivery, Feed, UnreadableCommit};

use projections::StoppedView;

use crate::shard::Shard;
use crate::{Error, feed};

/// Why a view is stopped if its projection ended the process.
const CONVICTED: &str = StoppedView::CONVICTED;

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
            if delivery.is_no_commit() {
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
            if let Some(request) = request {
                self.stops.stop(request, sequence, &CONVICTED).await;
            }
            return Ok(());
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
        let commits = self.stops.readable(commits).await;
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
                        .await;
                }
                projected => projected?,
            }
        }
        Ok(())
    }

    /// Makes the outputs of these commits. The events of the feed do not need the views: where
    /// Redis does not take them, the views stand, and are folded from the log later.
    async fn together(&mut self, commits: &[Commit], make: Make) -> Result<(), Error> {
        match make {
            Make::Views => {
                let written = self.views.take_in(self.number, commits).await?;
                self.stop(written).await;
            }
            Make::All if self.standing.is_level() => {
                let written = self.views.take_in(self.number, commits);
                let published = publish(&mut self.feed, self.published, commits);
                let (written, published) = tokio::join!(written, published);
                match written {
                    Ok(unreadable) => {
                        self.note_written(commits);
                        self.stop(unreadable).await;
                    }
                    Err(error) => {
                        self.counted.failed.inc();
                        self.views_fail(error).await;
                    }
                }
                self.published = published?;
            }
            Make::All => self.published = publish(&mut self.feed, self.published, commits).await?,
        }
        Ok(())
    }

    /// Notes how long commits took into the views.
    fn note_written(&self, commits: &[Commit]) {
        let now = Timestamp::now();
        self.counted.written.inc_by(commits.len() as u64);
        for commit in commits {
            let delay = now.duration_since(commit.at);
            self.counted
                .view_delay
                .took(delay.try_into().unwrap_or_default());
        }
    }

    /// Stops the views of requests whose logs cannot be read.
    async fn stop(&mut self, unreadable: Vec<UnreadableCommit>) {
        for commit in unreadable {
            if let Some(request) = commit.request {
                self.stops
                    .stop(request, commit.sequence, &commit.error)
                    .await;
            }
        }
    }

    /// Stops the view of a request at a commit that can be read but not projected. Readers of the
    /// request then fold its log.
    async fn set_aside(&mut self, request: RequestId, sequence: Sequence, reason: &Error) {
        self.stops.stop(request, sequence, reason).await;
        if let Err(error) = self.views.withdraw(request).await {
            self.views_fail(error).await;
        }
    }

    /// Resumes the views that another process had to stop, as far as this one can.
    pub(crate) async fn resume(&mut self, published: Sequence) -> Result<(), Error> {
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
            let resumed = self.resume_one(request, stopped.sequence, published).await;
            self.suspects.end(begun).await;
            resumed?;
        }
        Ok(())
    }

    async fn resume_one(
        &mut self,
        request: RequestId,
        stopped: Sequence,
        published: Sequence,
    ) -> Result<(), Error> {
        let commits = match self.log.read_whole(request).await {
            Ok(commits) => commits,
            Err(error) if !error.is_of_the_data() => return Err(error.into()),
            Err(error) => {
                self.stops.stop(request, stopped, &error).await;
                return Ok(());
            }
        };
        // Later commits are still to be delivered.
        let passed = |commit: &&Commit| (stopped..=published).contains(&commit.sequence);
        let passed: Vec<Commit> = commits.iter().filter(passed).cloned().collect();
        let resumed = match self.views.write_all(self.number, &commits).await {
            Ok(()) => feed::publish(&mut self.feed, &passed)
                .await
                .map_err(Error::from),
            Err(error) => Err(error),
        };
        match resumed {
            Ok(()) => self.stops.resumed(request).await,
            Err(error) if !error.is_of_its_commit() => Err(error),
            Err(error) => {
                self.set_aside(request, stopped, &error).await;
                Ok(())
            }
        }
    }
}

/// Publishes the events of these commits that are behind `published`, and returns up to where the
/// feed has the events then.
async fn publish(
    feed: &mut Feed,
    published: Option<Sequence>,
    commits: &[Commit],
) -> Result<Option<Sequence>, Error> {
    let known = commits.partition_point(|commit| Some(commit.sequence) <= published);
    let events = &commits[known..];
    feed::publish(feed, events).await?;
    Ok(published.max(events.last().map(|commit| commit.sequence)))
}
