//! The open requests of each shard, as the headers of its commits tell them. The log is the source;
//! an index in Redis may be old or empty.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use domain::request::{RequestId, STUCK_AFTER, Sequence};
use jiff::Timestamp;
use metrics::Requests;
use nats::{Checkpoint, Delivery, Does, End, OfGroup, Outline};
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
    /// When the log stored the commit that opened it; `None` where this process does not know.
    opened_at: Option<Timestamp>,
    /// When the log stored the last known commit.
    moved_at: Timestamp,
    /// When the running group began.
    group_at: Option<Timestamp>,
}

/// What has ended with a commit.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// How the request ended, if it did, and when it was opened.
    request: Option<(End, Option<Timestamp>)>,
    /// When the group was started that ended.
    group: Option<Timestamp>,
    at: Timestamp,
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

    /// Takes in delivered commits, before any of them is worked on, and notes how long those took
    /// that end here.
    pub fn hear(&self, deliveries: &[Delivery], requests: &Requests) {
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
            if let Some(ended) = shard.take_in(outline, now) {
                ended.note(requests, delivery);
            }
        }
    }

    /// Takes in commits that this instance read in the log.
    pub fn read(&self, shard: u8, outlines: &[Outline]) {
        let now = Instant::now();
        let mut shard = self.shard(shard);
        for outline in outlines {
            // Whoever was given the commit notes how long it took.
            let _ = shard.take_in(*outline, now);
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
                ..Open::new(checkpoint.from, now, None)
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

    /// What is open in a shard, for the metrics. A running group explains for `group_timeout` that
    /// nothing happens, unless its commit is after `taken_up`, because no orchestrator has received
    /// such a commit yet.
    pub fn told(
        &self,
        shard: u8,
        now: Timestamp,
        (group_timeout, taken_up): (Duration, Sequence),
    ) -> metrics::Open {
        let shard = self.shard(shard);
        let all = || shard.requests.values();
        let stuck = |open: &&Open| open.is_stuck(now, group_timeout, taken_up);
        let oldest = all().filter_map(|open| open.opened_at).min();
        metrics::Open {
            requests: shard.requests.len() as u64,
            stuck: all().filter(stuck).count() as u64,
            unreadable: all().filter(|open| open.unreadable).count() as u64,
            oldest: oldest.map(|at| metrics::since_1970(at.as_millisecond())),
        }
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
    /// `at` is when the log stored the commit that opened it, if that is known.
    fn new(since: Sequence, now: Instant, at: Option<Timestamp>) -> Self {
        Self {
            since,
            heard: since,
            heard_at: now,
            looked: None,
            unreadable: false,
            opened_at: at,
            moved_at: at.unwrap_or_else(Timestamp::now),
            group_at: None,
        }
    }

    /// Whether nothing has happened for longer than the timeout of the running group explains.
    fn is_stuck(&self, now: Timestamp, group_timeout: Duration, taken_up: Sequence) -> bool {
        let taken_up = self.heard <= taken_up;
        let due = self.group_at.filter(|_| taken_up);
        let due = due.and_then(|at| at.checked_add(group_timeout).ok());
        let due = due.unwrap_or(self.moved_at).max(self.moved_at);
        let limit = due.checked_add(STUCK_AFTER).unwrap_or(Timestamp::MAX);
        now > limit
    }

    /// Notes what a commit does to the running group. Returns when the group began that it ends.
    fn group(&mut self, does: OfGroup, at: Timestamp) -> Option<Timestamp> {
        let ended = if does.ends {
            self.group_at.take()
        } else {
            None
        };
        if does.begins {
            self.group_at = Some(at);
        }
        ended
    }
}

impl Ended {
    fn note(self, requests: &Requests, delivery: &Delivery) {
        let took = |since: Timestamp| {
            let took = self.at.duration_since(since);
            Duration::try_from(took).unwrap_or_default()
        };
        if let Some(since) = self.group {
            requests.groups.took(took(since));
        }
        if let Some((end, Some(since))) = self.request {
            let trace = delivery.traceparent();
            let trace_id = trace
                .as_ref()
                .and_then(|trace| trace.as_str().split('-').nth(1));
            requests.ended(end.status()).took(took(since), trace_id);
        }
    }
}

impl Shard {
    /// Returns what has ended with the commit, if it was not known before.
    fn take_in(&mut self, outline: Outline, now: Instant) -> Option<Ended> {
        let Outline {
            request,
            sequence,
            at,
            ..
        } = outline;
        if sequence <= self.known || !self.above.insert(sequence) {
            return None;
        }
        let mut ended = Ended {
            request: None,
            group: None,
            at,
        };
        match outline.does {
            Does::Nothing => {}
            Does::Opens | Does::Unknown => {
                let open = Open::new(sequence, now, Some(at));
                let open = self.requests.entry(request).or_insert(open);
                open.since = open.since.min(sequence);
                open.hear(&outline, now);
                ended.group = open.group(outline.group, at);
            }
            Does::Continues => {
                if let Some(open) = self.requests.get_mut(&request) {
                    open.hear(&outline, now);
                    ended.group = open.group(outline.group, at);
                }
            }
            Does::Ends(end) => {
                let open = self.requests.get_mut(&request);
                if let Some(open) = open.filter(|open| open.heard < sequence) {
                    ended.group = open.group(outline.group, at);
                    ended.request = Some((end, open.opened_at));
                    self.requests.remove(&request);
                }
            }
        }
        self.close_gap();
        Some(ended)
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
    fn hear(&mut self, outline: &Outline, now: Instant) {
        if outline.sequence > self.heard {
            self.heard = outline.sequence;
            self.heard_at = now;
            self.moved_at = outline.at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> RequestId {
        RequestId::of_key("test", &number.to_string())
    }

    const ENDS: Does = Does::Ends(End::Succeeded);

    /// The commits come a second after each other.
    fn at(sequence: u64) -> Timestamp {
        Timestamp::from_second(i64::try_from(sequence).unwrap()).unwrap()
    }

    fn take(open: &OpenRequests, commits: &[(u64, u8, Does)]) {
        let outline = |(sequence, request, does): &(u64, u8, Does)| Outline {
            request: id(*request),
            sequence: Sequence::new(*sequence),
            does: *does,
            at: at(*sequence),
            group: OfGroup::default(),
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
        take(&open, &[(3, 1, ENDS)]);
        assert_eq!(all(&open), [id(2)]);
        assert_eq!(open.checkpoint(0).from, Sequence::new(2));
        // The outcome of a task comes after the end.
        take(&open, &[(4, 1, Does::Continues), (5, 2, ENDS)]);
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
        take(&open, &[(3, 3, Does::Opens), (4, 1, ENDS)]);
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
        take(&open, &[(3, 1, ENDS)]);
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

    #[test]
    fn a_request_is_stuck_a_minute_after_its_timeouts_no_longer_explain_that_nothing_happens() {
        let (open, group_timeout) = (OpenRequests::new(1), Duration::from_mins(15));
        let starts = OfGroup {
            begins: true,
            ends: false,
        };
        let outline = |sequence: u64, request, group| Outline {
            request: id(request),
            sequence: Sequence::new(sequence),
            does: Does::Opens,
            at: at(sequence),
            group,
        };
        open.read(
            0,
            &[outline(1, 1, OfGroup::default()), outline(2, 2, starts)],
        );
        let stuck = |second, taken_up| {
            let taken_up = Sequence::new(taken_up);
            open.told(0, at(second), (group_timeout, taken_up)).stuck
        };
        assert_eq!(stuck(60, 2), 0);
        assert_eq!(stuck(63, 2), 1, "no group of the first explains anything");
        assert_eq!(stuck(63, 1), 2, "no orchestrator knows of the second");
        assert_eq!(stuck(962, 2), 1);
        assert_eq!(stuck(963, 2), 2, "the group has timed out");
        let told = open.told(0, at(63), (group_timeout, Sequence::new(2)));
        assert_eq!(
            (told.requests, told.oldest),
            (2, Some(metrics::since_1970(1_000)))
        );
    }

    #[test]
    fn what_ends_says_when_it_began() {
        let mut shard = Shard::default();
        let now = Instant::now();
        let mut take = |sequence: u64, does, (begins, ends)| {
            let outline = Outline {
                request: id(1),
                sequence: Sequence::new(sequence),
                does,
                at: at(sequence),
                group: OfGroup { ends, begins },
            };
            shard.take_in(outline, now).unwrap()
        };
        take(1, Does::Opens, (true, false));
        take(4, Does::Continues, (true, true));
        let ended = take(9, ENDS, (false, true));
        assert_eq!(ended.group, Some(at(4)));
        assert_eq!(ended.request, Some((End::Succeeded, Some(at(1)))));
    }
}
