//! Commits whose projection may end the process. Each is projected alone, under a mark that
//! outlives the process. A commit that repeatedly ended its process is skipped.

use std::collections::BTreeSet;

use domain::request::{RequestId, Sequence};
use nats::{Begun, Connection, Delivery, First, Quarantine, Verdict};

use crate::Error;

/// The delivery count from which a commit is projected alone. Processes often end in the middle of
/// their work, so a second delivery is usual.
const SUSPECT_FROM: u32 = 3;

/// The suspects of a shard, by sequence.
pub struct Suspects {
    quarantine: Quarantine,
    /// The marks of stretches of the log. If a process ended in a stretch, the stretch is projected
    /// commit by commit.
    stretches: Quarantine,
    /// Commits that were delivered this often before they reached this process, without a mark yet.
    lost: BTreeSet<Sequence>,
    /// The highest sequence delivered to this process. A redelivery up to this sequence ended no
    /// process, since this one is alive.
    seen: Sequence,
}

impl Suspects {
    pub async fn open(connection: &Connection, shard: u8) -> Result<Self, Error> {
        let open =
            async |consumer: String| Quarantine::open(connection, &consumer, First::Alone).await;
        Ok(Self {
            quarantine: open(format!("projector-{shard}")).await?,
            stretches: open(format!("projector-log-{shard}")).await?,
            lost: BTreeSet::new(),
            seen: Sequence::NONE,
        })
    }

    /// Checks the deliveries before any of them is read.
    pub fn note(&mut self, chunk: &[Delivery]) {
        let seen = self.seen;
        let places = chunk.iter().filter_map(|delivery| delivery.place().ok());
        for place in places {
            let sequence = Sequence::new(place.sequence);
            if sequence > seen && place.delivered >= SUSPECT_FROM {
                self.lost.insert(sequence);
            }
            self.seen = self.seen.max(sequence);
        }
    }

    /// The suspects between two sequences, both included.
    pub fn within(&self, from: Sequence, to: Sequence) -> BTreeSet<Sequence> {
        let marks = self.quarantine.marks();
        let marked = marks.keys().filter_map(|what| what.parse().ok());
        let all = marked.chain(self.lost.iter().copied());
        all.filter(|at| (from..=to).contains(at)).collect()
    }

    /// Marks a commit as begun. Returns `None` if the commit is not to be projected at all.
    pub async fn begin(
        &self,
        sequence: Sequence,
        request: Option<RequestId>,
    ) -> Result<Option<Begun>, Error> {
        self.try_alone(sequence.to_string(), request).await
    }

    /// Marks the whole log of a request as begun, to resume its view. Returns `None` if that
    /// repeatedly ended the process.
    pub async fn begin_view(&self, request: RequestId) -> Result<Option<Begun>, Error> {
        self.try_alone(format!("view-{request}"), Some(request))
            .await
    }

    /// Marks a stretch of the log as begun, by its first sequence. A commit in it that ends the
    /// process may not yet have been delivered often enough to be a suspect. If a process ended in
    /// the stretch before, the caller must project it commit by commit.
    pub async fn begin_stretch(&self, from: Sequence) -> Result<Begun, Error> {
        Ok(self.stretches.begin(from, None).await?)
    }

    /// Ends a stretch, after success or failure.
    pub async fn end_stretch(&self, begun: Begun) {
        self.stretches.end(begun).await;
    }

    async fn try_alone(
        &self,
        what: String,
        request: Option<RequestId>,
    ) -> Result<Option<Begun>, Error> {
        // A convicted suspect keeps its mark unchanged.
        if self.quarantine.convicted().contains(&what) {
            return Ok(None);
        }
        let begun = self.quarantine.begin(what, request).await?;
        Ok((begun.verdict == Verdict::Try).then_some(begun))
    }

    /// Ends the work that was begun, after success or failure: the process lives.
    pub async fn end(&self, begun: Begun) {
        self.quarantine.end(begun).await;
    }

    /// Forgets a commit that was projected, or is not to be projected.
    pub fn forget(&mut self, sequence: Sequence) {
        self.lost.remove(&sequence);
    }

    /// Whether any work on this request is convicted, so that its log must not be read.
    pub fn has_convicted(&self, request: RequestId) -> bool {
        let marks = self.quarantine.marks();
        let convicted = self.quarantine.convicted();
        let mut requests = convicted.iter().filter_map(|what| marks.get(what)?.request);
        requests.any(|convicted| convicted == request)
    }
}
