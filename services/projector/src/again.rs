//! Projecting from the log itself: missed commits, or all commits after Redis lost its views.

use domain::request::Sequence;
use nats::{Begun, Commit, Scan, UnreadableCommit};

use crate::Error;
use crate::project::{Commits, Make};
use crate::shard::Shard;

/// How many commits are read and projected at once.
const CHUNK: u64 = 1_000;

impl Shard {
    /// Projects the log from one sequence to another, both included.
    pub(crate) async fn project_log(
        &mut self,
        from: Sequence,
        to: Sequence,
        make: Make,
    ) -> Result<(), Error> {
        let mut next = from;
        for suspect in self.suspects.within(from, to) {
            self.stretch(next, suspect.before(), make).await?;
            self.suspect(suspect, None, make).await?;
            next = suspect.next();
        }
        self.stretch(next, to, make).await
    }

    /// Projects a part of the log that has no known suspects.
    async fn stretch(&mut self, from: Sequence, to: Sequence, make: Make) -> Result<(), Error> {
        let mut scan = None;
        let mut next = from;
        while next <= to {
            let begun = self.suspects.begin_stretch(next).await?;
            let projected = self.chunk(&begun, &mut scan, next, to, make).await;
            self.suspects.end_stretch(begun).await;
            let Some(last) = projected? else {
                break;
            };
            next = last.next();
        }
        Ok(())
    }

    /// Projects a chunk and returns its last sequence; `None` at the end of the log.
    async fn chunk(
        &mut self,
        begun: &Begun,
        scan: &mut Option<Scan>,
        from: Sequence,
        to: Sequence,
        make: Make,
    ) -> Result<Option<Sequence>, Error> {
        if begun.lost > 0 {
            // A process ended in this stretch.
            *scan = None;
            let last = to.min(from.plus(CHUNK - 1));
            for sequence in from.through(last) {
                self.suspect(sequence, None, make).await?;
            }
            return Ok(Some(last));
        }
        let scan = match scan {
            Some(scan) => scan,
            None => scan.insert(Scan::open(&self.connection, self.number, from, to).await?),
        };
        let limit = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let Some(commits) = scan.next_each(limit).await? else {
            return Ok(None);
        };
        let last = commits.last().map_or(to, sequence_of);
        self.project_read(commits, make).await?;
        Ok(Some(last))
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
