//! The open requests of each shard, as the headers of its commits tell them. The log is the source;
//! an index in Redis may be old or empty.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::request::{RequestId, Sequence};
use nats::{Checkpoint, Delivery, Does, Outline};
use tokio::time::Instant;

/// How many requests with an unreadable commit a checkpoint names. If there are more, the
/// checkpoint stays before them.
const UNREADABLE_MAX: usize = 1_000;

/// An open request.
#[derive(Clone, Debug)]
pub struct Open {
    /// The commit that opened it.
    pub since: Sequence,
    /// The last known commit.
    pub heard: Sequence,
    /// When this process learned of that commit.
    pub heard_at: Instant,
    /// What the last look found; `None` if the request must be looked at.
    pub looked: Option<Looked>,
    /// Whether this build cannot read one of its commits.
    pub unreadable: bool,
}

/// A look that found everything in place.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// The last commit at that time.
    pub heard: Sequence,
    /// How many messages the queues held for the request.
    pub messages: u32,
}

/// What is known of one shard.
#[derive(Default)]
struct Shard {
    /// The sequence up to which every commit is known.
    known: Sequence,
    /// The known commits after that.
    above: BTreeSet<Sequence>,
    requests: HashMap<RequestId, Open>,
    /// The id by which the broker last delivered to this instance.
    pin: Option<String>,
}

/// The open requests of all shards.
pub struct OpenRequests(Vec<Mutex<Shard>>);

impl OpenRequests {
    pub fn new(shards: u8) -> Self {
        Self((0..shards).map(|_| Mutex::default()).collect())
    }

    fn shard(&self, shard: u8) -> MutexGuard<'_, Shard> {
        let shard = &self.0[usize::from(shard)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in delivered commits, before any of them is worked on.
    pub fn hear(&self, deliveries: &[Delivery]) {
        let shards = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        let now = Instant::now();
        for delivery in deliveries {
            let Some(outline) = delivery.outline() else {
                continue;
            };
            let mut shard = self.shard(outline.request.partition().shard(shards));
            if let Some(pin) = delivery.pin()
                && shard.pin.as_deref() != Some(pin)
            {
                shard.pin = Some(pin.to_owned());
            }
            shard.take_in(outline, now);
        }
    }

    /// Takes in commits that this instance read in the log.
    pub fn read(&self, shard: u8, outlines: &[Outline]) {
        let now = Instant::now();
        let mut shard = self.shard(shard);
        for outline in outlines {
            shard.take_in(*outline, now);
        }
    }

    /// Notes that every commit up to this sequence is known.
    pub fn known_up_to(&self, shard: u8, sequence: Sequence) {
        let mut shard = self.shard(shard);
        shard.known = shard.known.max(sequence);
        shard.close_gap();
    }

    /// The first unknown commits up to sequence `end`, both included, if there are any.
    pub fn gap(&self, shard: u8, end: Sequence) -> Option<(Sequence, Sequence)> {
        let shard = self.shard(shard);
        let next = shard.above.first().map_or(end, |next| next.before());
        (shard.known < end).then(|| (shard.known.next(), next.min(end)))
    }

    /// Begins at a checkpoint, unless more is known.
    pub fn begin(&self, shard: u8, checkpoint: &Checkpoint) {
        let now = Instant::now();
        let mut shard = self.shard(shard);
        shard.known = shard.known.max(checkpoint.from.before());
        for request in &checkpoint.unreadable {
            // The next look finds its last commit.
            let open = Open {
                heard: Sequence::NONE,
                ..Open::new(checkpoint.from, now)
            };
            shard.requests.entry(*request).or_insert(open);
        }
        shard.close_gap();
    }

    /// Where the oldest open request began.
    pub fn checkpoint(&self, shard: u8) -> Checkpoint {
        let shard = self.shard(shard);
        let mut unreadable: Vec<RequestId> = Vec::new();
        let mut from = shard.known.next();
        for (request, open) in &shard.requests {
            if open.unreadable && unreadable.len() < UNREADABLE_MAX {
                unreadable.push(*request);
            } else {
                from = from.min(open.since);
            }
        }
        unreadable.sort();
        Checkpoint { from, unreadable }
    }

    /// Whether the broker delivers to this instance, if it delivers to `pinned`.
    pub fn is_pinned(&self, shard: u8, pinned: &str) -> bool {
        self.shard(shard).pin.as_deref() == Some(pinned)
    }

    /// The open requests for which `which` holds.
    pub fn which(
        &self,
        shard: u8,
        which: impl Fn(RequestId, &Open) -> bool,
    ) -> Vec<(RequestId, Sequence)> {
        let shard = self.shard(shard);
        let requests = shard.requests.iter();
        requests
            .filter(|(request, open)| which(**request, open))
            .map(|(request, open)| (*request, open.heard))
            .collect()
    }

    /// Whether a shard has no open request.
    pub fn is_empty(&self, shard: u8) -> bool {
        self.shard(shard).requests.is_empty()
    }

    /// Changes what is known of a request, if it is open.
    pub fn change(&self, shard: u8, request: RequestId, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.shard(shard).requests.get_mut(&request) {
            change(open);
        }
    }

    /// Forgets a request that had ended at commit `at`, unless a later commit is known.
    pub fn ended(&self, shard: u8, request: RequestId, at: Sequence) {
        let mut shard = self.shard(shard);
        if shard
            .requests
            .get(&request)
            .is_some_and(|open| open.heard <= at)
        {
            shard.requests.remove(&request);
        }
    }

    /// Has every request looked at again, because messages were lost.
    pub fn doubt_all(&self, shard: u8) {
        for open in self.shard(shard).requests.values_mut() {
            open.looked = None;
        }
    }
}

impl Open {
    fn new(since: Sequence, now: Instant) -> Self {
        Self {
            since,
            heard: since,
            heard_at: now,
            looked: None,
            unreadable: false,
        }
    }
}

impl Shard {
    fn take_in(&mut self, outline: Outline, now: Instant) {
        let Outline {
            request, sequence, ..
        } = outline;
        if sequence <= self.known || !self.above.insert(sequence) {
            return;
        }
        match outline.does {
            Does::Nothing => {}
            Does::Opens | Does::Unknown => {
                let open = Open::new(sequence, now);
                let open = self.requests.entry(request).or_insert(open);
                open.since = open.since.min(sequence);
                open.hear(sequence, now);
            }
            Does::Continues => {
                if let Some(open) = self.requests.get_mut(&request) {
                    open.hear(sequence, now);
                }
            }
            Does::Ends => {
                let open = self.requests.get(&request);
                if open.is_some_and(|open| open.heard < sequence) {
                    self.requests.remove(&request);
                }
            }
        }
        self.close_gap();
    }

    fn close_gap(&mut self) {
        while let Some(first) = self.above.first().copied() {
            if first > self.known.next() {
                break;
            }
            self.known = self.known.max(first);
            self.above.pop_first();
        }
    }
}

impl Open {
    fn hear(&mut self, sequence: Sequence, now: Instant) {
        if sequence > self.heard {
            self.heard = sequence;
            self.heard_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> RequestId {
        RequestId::of_key("test", &number.to_string())
    }

    fn take(open: &OpenRequests, commits: &[(u64, u8, Does)]) {
        let outline = |(sequence, request, does): &(u64, u8, Does)| Outline {
            request: id(*request),
            sequence: Sequence::new(*sequence),
            does: *does,
        };
        open.read(0, &commits.iter().map(outline).collect::<Vec<_>>());
    }

    fn all(open: &OpenRequests) -> Vec<RequestId> {
        let all = open.which(0, |_, _| true);
        all.into_iter().map(|(request, _)| request).collect()
    }

    #[test]
    fn a_request_is_open_from_its_first_commit_to_its_end_and_again_from_a_redrive() {
        let open = OpenRequests::new(1);
        take(&open, &[(1, 1, Does::Opens), (2, 2, Does::Opens)]);
        assert_eq!(open.checkpoint(0).from, Sequence::new(1));
        take(&open, &[(3, 1, Does::Ends)]);
        assert_eq!(all(&open), [id(2)]);
        assert_eq!(open.checkpoint(0).from, Sequence::new(2));
        // The outcome of a task comes after the end.
        take(&open, &[(4, 1, Does::Continues), (5, 2, Does::Ends)]);
        assert!(all(&open).is_empty());
        assert_eq!(open.checkpoint(0).from, Sequence::new(6));
        take(&open, &[(6, 1, Does::Opens)]);
        assert_eq!(all(&open), [id(1)]);
    }

    #[test]
    fn commits_of_another_holder_are_a_gap_until_they_are_read() {
        let open = OpenRequests::new(1);
        take(&open, &[(1, 1, Does::Opens), (5, 2, Does::Opens)]);
        let gap = open.gap(0, Sequence::new(9));
        assert_eq!(gap, Some((Sequence::new(2), Sequence::new(4))));
        take(&open, &[(3, 3, Does::Opens), (4, 1, Does::Ends)]);
        open.known_up_to(0, Sequence::new(4));
        assert_eq!(all(&open).len(), 2);
        assert_eq!(open.gap(0, Sequence::new(5)), None);
        let after = open.gap(0, Sequence::new(9));
        assert_eq!(after, Some((Sequence::new(6), Sequence::new(9))));
    }

    #[test]
    fn an_end_that_is_read_late_does_not_close_a_later_run() {
        let open = OpenRequests::new(1);
        take(&open, &[(1, 1, Does::Opens), (4, 1, Does::Opens)]);
        take(&open, &[(3, 1, Does::Ends)]);
        assert_eq!(all(&open), [id(1)]);
    }

    #[test]
    fn an_unreadable_request_is_named_by_the_checkpoint_and_does_not_hold_it_back() {
        let open = OpenRequests::new(1);
        take(&open, &[(1, 1, Does::Unknown), (2, 2, Does::Opens)]);
        open.change(0, id(1), |open| open.unreadable = true);
        let checkpoint = open.checkpoint(0);
        assert_eq!(checkpoint.from, Sequence::new(2));
        assert_eq!(checkpoint.unreadable, [id(1)]);
        let next = OpenRequests::new(1);
        next.begin(0, &checkpoint);
        assert_eq!(all(&next), [id(1)]);
    }
}
