//! Commits whose projection may end the process: each is projected alone, under a mark that
//! outlives the process, and one that ended it again and again is passed over.

use std::collections::BTreeSet;

use domain::request::RequestId;
use nats::{Begun, Connection, Delivery, First, Quarantine, Verdict};

use crate::Error;

/// How often a commit was delivered when it is projected alone. A process that ends in the
/// middle of its work is usual, and what it held then comes twice.
const SUSPECT_FROM: u32 = 3;

/// The suspects of a shard, by sequence.
pub struct Suspects {
    quarantine: Quarantine,
    /// Stretches of the log: within one its commits take their turns alone.
    stretches: Quarantine,
    /// Those that came so often before they came here, and have no mark yet.
    lost: BTreeSet<u64>,
    /// The furthest that was delivered here: what comes again from there to here was not lost,
    /// since this process lives.
    seen: u64,
}

impl Suspects {
    pub async fn open(connection: &Connection, shard: u8) -> Result<Self, Error> {
        let open =
            async |consumer: String| Quarantine::open(connection, &consumer, First::Alone).await;
        Ok(Self {
            quarantine: open(format!("projector-{shard}")).await?,
            stretches: open(format!("projector-log-{shard}")).await?,
            lost: BTreeSet::new(),
            seen: 0,
        })
    }

    /// Looks at what is delivered, before any of it is read.
    pub fn note(&mut self, chunk: &[Delivery]) {
        let seen = self.seen;
        let places = chunk.iter().filter_map(|delivery| delivery.place().ok());
        for place in places {
            if place.sequence > seen && place.delivered >= SUSPECT_FROM {
                self.lost.insert(place.sequence);
            }
            self.seen = self.seen.max(place.sequence);
        }
    }

    /// The suspects between two sequences, both included.
    pub fn within(&self, from: u64, to: u64) -> BTreeSet<u64> {
        let marks = self.quarantine.marks();
        let marked = marks.keys().filter_map(|what| what.parse().ok());
        let all = marked.chain(self.lost.iter().copied());
        all.filter(|at| (from..=to).contains(at)).collect()
    }

    /// Marks a commit as begun; none where it is not to be projected at all.
    pub async fn begin(
        &self,
        sequence: u64,
        request: Option<RequestId>,
    ) -> Result<Option<Begun>, Error> {
        self.try_alone(sequence.to_string(), request).await
    }

    /// Marks the whole log of a request as begun, to go on with its view; none where that ended
    /// the process again and again.
    pub async fn begin_view(&self, request: RequestId) -> Result<Option<Begun>, Error> {
        self.try_alone(format!("view-{request}"), Some(request))
            .await
    }

    /// Marks a stretch of the log as begun, by its first sequence. What of it ends the process
    /// may not have been delivered so often yet: where one was lost in it before, it is to be
    /// taken commit by commit.
    pub async fn begin_stretch(&self, from: u64) -> Result<Begun, Error> {
        Ok(self.stretches.begin(from, None).await?)
    }

    /// A stretch has ended, well or not.
    pub async fn end_stretch(&self, begun: Begun) {
        self.stretches.end(begun).await;
    }

    async fn try_alone(
        &self,
        what: String,
        request: Option<RequestId>,
    ) -> Result<Option<Begun>, Error> {
        // One that is convicted keeps its mark as it is.
        if self.quarantine.convicted().contains(&what) {
            return Ok(None);
        }
        let begun = self.quarantine.begin(what, request).await?;
        Ok((begun.verdict == Verdict::Try).then_some(begun))
    }

    /// What was begun has ended, well or not: the process lives.
    pub async fn end(&self, begun: Begun) {
        self.quarantine.end(begun).await;
    }

    /// A commit was projected, or is not to be.
    pub fn forget(&mut self, sequence: u64) {
        self.lost.remove(&sequence);
    }

    /// Whether something of this request is passed over: its log is not to be read.
    pub fn has_convicted(&self, request: RequestId) -> bool {
        let marks = self.quarantine.marks();
        let convicted = self.quarantine.convicted();
        let mut requests = convicted.iter().filter_map(|what| marks.get(what)?.request);
        requests.any(|convicted| convicted == request)
    }
}
