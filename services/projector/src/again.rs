//! Projecting from the log itself: missed commits, or all commits after Redis lost its views.

use domain::request::Sequence;
use nats::{Begun, Commit, Scan, UnreadableCommit};

use crate::Error;
use crate::project::{Commits, Make};
use crate::shard::Shard;

/// How many commits are read and projected at once.
const CHUNK: u64 = 1_000;

/// A part of the log that is being read, where the last chunk ended.
pub struct Reading {
    scan: Option<Scan>,
    next: Sequence,
}

impl Reading {
    /// Reads from this sequence on.
    pub fn from(next: Sequence) -> Self {
        Self { scan: None, next }
    }

    /// The first sequence that is not projected yet.
    pub fn next(&self) -> Sequence {
        self.next
    }
}

impl Shard {
    /// Projects the log from one sequence to another, both included. It succeeds only when the last
    /// commit is projected, or when age has removed it.
    pub(crate) async fn project_log(
        &mut self,
        from: Sequence,
        to: Sequence,
        make: Make,
    ) -> Result<(), Error> {
        let mut reading = Reading::from(from);
        while reading.next <= to {
            Box::pin(self.step(&mut reading, to, make)).await?;
        }
        Ok(())
    }

    /// Projects the next suspect alone, or the next chunk before it. Returns the last sequence that
    /// is projected now.
    pub(crate) async fn step(
        &mut self,
        reading: &mut Reading,
        to: Sequence,
        make: Make,
    ) -> Result<Sequence, Error> {
        let from = reading.next;
        let suspect = self.suspects.within(from, to).first().copied();
        let last = if suspect == Some(from) {
            reading.scan = None;
            self.suspect(from, None, make).await?;
            from
        } else {
            let to = suspect.map_or(to, Sequence::before);
            let begun = self.suspects.begin_stretch(from).await?;
            let projected = self.chunk(&begun, reading, to, make).await;
            self.suspects.end_stretch(begun).await;
            projected?
        };
        reading.next = last.next();
        Ok(last)
    }

    /// Projects a chunk up to `to` at most, and returns its last sequence.
    async fn chunk(
        &mut self,
        begun: &Begun,
        reading: &mut Reading,
        to: Sequence,
        make: Make,
    ) -> Result<Sequence, Error> {
        let from = reading.next;
        if begun.lost > 0 {
            // A process ended in this stretch.
            reading.scan = None;
            let last = to.min(from.plus(CHUNK - 1));
            for sequence in from.through(last) {
                self.suspect(sequence, None, make).await?;
            }
            return Ok(last);
        }
        // The scan is dropped where it fails, so that the next one begins behind what is projected.
        let mut scan = match reading.scan.take() {
            Some(scan) => scan,
            None => Scan::open(&self.connection, self.number, from, to).await?,
        };
        let limit = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let Some(commits) = scan.next_each(limit).await? else {
            // The scan is whole: age has removed what is between its last commit and its end.
            return Ok(scan.end());
        };
        let last = commits.last().map_or(to, sequence_of);
        self.project_read(commits, make).await?;
        if last < scan.end() {
            reading.scan = Some(scan);
        }
        Ok(last)
    }

    /// Projects the commit at a sequence, if it is in the log.
    pub(crate) async fn project_at(&mut self, sequence: Sequence, make: Make) -> Result<(), Error> {
        let mut scan = Scan::open(&self.connection, self.number, sequence, sequence).await?;
        match scan.next_each(1).await? {
            Some(commits) => self.project_read(commits, make).await,
            None => Ok(()),
        }
    }

    async fn project_read(&mut self, commits: Commits, make: Make) -> Result<(), Error> {
        for commit in commits.iter().flatten() {
            runtime::strike("projector", commit.request.to_string().as_bytes());
        }
        self.project(commits, make).await
    }
}

fn sequence_of(commit: &Result<Commit, UnreadableCommit>) -> Sequence {
    match commit {
        Ok(commit) => commit.sequence,
        Err(unreadable) => unreadable.sequence,
    }
}
