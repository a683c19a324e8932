//! The cached state of each request at a sequence, so that the next decision needs no read. A
//! cached state may be old; the sequence check of the next commit detects that.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs_es::AggregateContext;
use domain::request::{Event, RequestId, Sequence, State, evolve};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::commit::Follows;
use crate::state_weight::StateWeight;
use crate::{Commit, Delivery, Error, Log};

/// How many requests' states a process keeps.
const CACHED_STATES: usize = 20_000;
/// How many commits the log follower may lag before cached state is no longer kept for it.
const HANDED_OVER_MAX: u64 = 10_000;
/// How many commits the log follower may lag before the events of a commit are no longer kept for
/// it. The limit is lower, because events may contain results.
const MADE_MAX: u64 = 2_000;

/// How many commits one read fetches.
const PAGE: usize = 1_000;

/// The cached states.
pub(crate) struct StateCache {
    slots: Cache<RequestId, Arc<Mutex<Slot>>>,
    /// The sequence of each shard up to which this process follows the log.
    followed: Box<[AtomicU64]>,
}

impl StateCache {
    pub fn nothing(shards: u8) -> Self {
        Self {
            slots: Cache::new(CACHED_STATES),
            followed: (0..shards).map(|_| AtomicU64::default()).collect(),
        }
    }

    fn slot(&self, request: RequestId) -> Arc<Mutex<Slot>> {
        let new = || Ok::<_, Infallible>(Arc::default());
        let Ok(slot) = self.slots.get_or_insert_with(&request, new);
        slot
    }
}

/// An entry of the cache: nothing, or the state at a sequence.
#[derive(Debug, Default)]
struct Slot {
    known: Option<Sequence>,
    /// The last message at the subject of the request, where it comes after the last commit because it
    /// is no commit.
    passed_over: Sequence,
    state: State,
    weight: StateWeight,
    /// The last commit that this process made, until it is delivered here.
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    sequence: Sequence,
    previous: Sequence,
    events: Vec<Event>,
}

impl Log {
    /// Whether sequence `known` is the last of the request, read from the stream's leader. Where it
    /// is not, evicts the cached state.
    pub(crate) async fn is_current(
        &self,
        request: RequestId,
        known: Sequence,
    ) -> Result<bool, Error> {
        let last = self.last_sequence(request).await?;
        if last > known {
            self.forget(request);
        }
        Ok(last <= known)
    }

    /// Records that this process has just made this id, so that its first commit needs no read.
    pub fn assume_new(&self, request: RequestId) {
        let slot = Slot {
            known: Some(Sequence::NONE),
            ..Slot::default()
        };
        self.known.slots.insert(request, Arc::new(Mutex::new(slot)));
    }

    /// Returns the delivered commit. Where this process made it, the events come from the cache,
    /// and otherwise from the delivery.
    pub async fn delivered(&self, delivery: &Delivery) -> Result<Commit, Error> {
        let Some(request) = delivery.request() else {
            return delivery.commit();
        };
        let place = delivery.place()?;
        let (sequence, at) = (Sequence::new(place.sequence), place.stored_at);
        let made = {
            let mut slot = self.known.slot(request).lock_owned().await;
            slot.made.take_if(|made| made.sequence == sequence)
        };
        match made {
            Some(Made {
                previous, events, ..
            }) => Ok(Commit {
                request,
                sequence,
                previous,
                at,
                tenant: delivery.tenant(),
                traceparent: delivery.traceparent(),
                events,
            }),
            None => delivery.commit(),
        }
    }

    /// Applies a delivered commit to the cached state, so that its effects need no read. Returns
    /// the state after the commit, locked as by [`Self::load`], where it is known.
    pub async fn observe(&self, commit: &Commit) -> Option<Loaded> {
        self.followed(commit.request)
            .fetch_max(commit.sequence.get(), Ordering::Relaxed);
        let mut slot = self.known.slot(commit.request).lock_owned().await;
        let first = commit.previous == Sequence::NONE;
        let known = slot.known.or(first.then_some(Sequence::NONE));
        if known == Some(commit.previous) {
            let state = std::mem::take(&mut slot.state);
            slot.state = commit.events.iter().fold(state, evolve);
            slot.weight.add(&commit.events);
            slot.known = Some(commit.sequence);
        } else if known.is_some_and(|known| known < commit.sequence) {
            // A commit in between is unknown here, so the state is read again when it is needed.
            *slot = Slot::default();
        }
        let loaded = Loaded::of(commit.request, slot);
        (loaded.sequence() >= commit.sequence).then_some(loaded)
    }

    fn followed(&self, request: RequestId) -> &AtomicU64 {
        let shard = request.partition().shard(self.shards());
        &self.known.followed[usize::from(shard)]
    }

    /// Keeps the cached state as of commit `sequence` for the log follower of this process, which
    /// evicts it when the request ends. Without a follower, evicts it now. Returns whether it was
    /// kept.
    #[must_use]
    pub fn hand_over(&self, request: RequestId, sequence: Sequence) -> bool {
        let followed = self.comes_within(request, sequence, HANDED_OVER_MAX);
        if !followed {
            self.forget(request);
        }
        followed
    }

    /// Evicts the cached state of a request that has ended with commit `sequence` or before, where no
    /// log follower of this process comes by to do it. Returns whether it did. An instance that
    /// processes the reports of a shard may not be the one that follows its log.
    pub async fn let_go_of_ended(&self, request: RequestId, sequence: Sequence) -> bool {
        if self.comes_within(request, sequence, HANDED_OVER_MAX) {
            return false;
        }
        let Some(slot) = self.known.slots.get(&request) else {
            return false;
        };
        let ended = {
            let slot = slot.lock().await;
            let request = slot.state.request();
            request.is_some_and(|request| request.status().is_terminal())
        };
        if ended {
            self.forget(request);
        }
        ended
    }

    /// Whether a commit that was just made will be delivered to this process soon.
    pub(crate) fn comes_soon(&self, request: RequestId, sequence: Sequence) -> bool {
        self.comes_within(request, sequence, MADE_MAX)
    }

    fn comes_within(&self, request: RequestId, sequence: Sequence, commits: u64) -> bool {
        let followed = Sequence::new(self.followed(request).load(Ordering::Relaxed));
        followed > Sequence::NONE && followed.plus(commits) >= sequence
    }

    /// Evicts the cached state of a request.
    pub fn forget(&self, request: RequestId) {
        self.known.slots.remove(&request);
    }

    /// The state of a request at sequence `least` or later, locked until the guard is dropped. An
    /// older answer from the log is an error.
    pub async fn load_since(&self, request: RequestId, least: Sequence) -> Result<Loaded, Error> {
        let mut loaded = self.load(request).await?;
        if loaded.sequence() < least {
            Box::pin(self.read_on(&mut loaded)).await?;
        }
        let found = loaded.sequence();
        if found >= least {
            return Ok(loaded);
        }
        Err(Error::Unavailable(format!(
            "request {request} was read up to sequence {found}, not yet {least}"
        )))
    }

    /// The state of a request as the stream's leader has it now, locked until the guard is dropped.
    /// This is for steps that make no commit, because no sequence check then confirms the state.
    pub async fn load_current(&self, request: RequestId) -> Result<Loaded, Error> {
        let last = self.last_sequence(request).await?;
        self.load_since(request, last).await
    }

    /// The cached state of a request, locked until the guard is dropped. Without a cached state, it
    /// is read from the log. The state may be old: another process may have committed, or a replica
    /// that lags may have answered.
    pub async fn load(&self, request: RequestId) -> Result<Loaded, Error> {
        let slot = self.known.slot(request).lock_owned().await;
        let mut loaded = Loaded::of(request, slot);
        if loaded.slot.known.is_none() {
            Box::pin(self.read_on(&mut loaded)).await?;
        }
        Ok(loaded)
    }

    /// Reads the commits of a request after its cached state, a page at a time. The entry has no
    /// sequence meanwhile, because a part would be taken for the whole.
    async fn read_on(&self, loaded: &mut Loaded) -> Result<(), Error> {
        let mut sequence = loaded.sequence();
        let mut state = std::mem::take(&mut loaded.slot.state);
        loaded.slot.known = None;
        let (mut next, mut last) = (Some(sequence), sequence);
        while let Some(after) = next {
            let page = self.read_page(loaded.request, after, PAGE).await?;
            let events = page.commits.iter().flat_map(|commit| &commit.events);
            loaded.slot.weight.add(events.clone());
            state = events.fold(state, evolve);
            sequence = page.commits.last().map_or(sequence, |last| last.sequence);
            last = page.last;
            next = page.next;
        }
        loaded.revision = state.revision();
        loaded.slot.state = state;
        loaded.slot.known = Some(sequence);
        loaded.slot.passed_over = last;
        Ok(())
    }
}

/// A request's state, locked.
pub struct Loaded {
    request: RequestId,
    revision: u64,
    slot: OwnedMutexGuard<Slot>,
}

impl Loaded {
    fn of(request: RequestId, slot: OwnedMutexGuard<Slot>) -> Self {
        Self {
            request,
            revision: slot.state.revision(),
            slot,
        }
    }

    pub(crate) fn request(&self) -> RequestId {
        self.request
    }

    /// What a decision on this state follows.
    pub(crate) fn follows(&self) -> Follows {
        let commit = self.sequence();
        Follows {
            commit,
            message: commit.max(self.slot.passed_over),
        }
    }

    /// Records what a decision on this state adds to it.
    pub(crate) fn weigh(&mut self, events: &[Event]) {
        self.slot.weight.add(events);
    }

    /// Records that the decision on this state was committed. `kept` has the events if the cache
    /// keeps them until they are delivered.
    pub(crate) fn stands_at(&mut self, sequence: Sequence, kept: Option<Vec<Event>>) {
        let previous = self.sequence();
        self.slot.made = kept.map(|events| Made {
            sequence,
            previous,
            events,
        });
        self.slot.known = Some(sequence);
        self.revision = self.slot.state.revision();
    }

    /// Records that the decision on this state was not committed, as far as is known.
    pub(crate) fn never_was(&mut self) {
        *self.slot = Slot::default();
        self.revision = 0;
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.slot.state
    }

    /// The sequence of the last commit, `NONE` without one.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.slot.known.unwrap_or(Sequence::NONE)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // A decision was applied but not committed, so the state in this entry never happened. Or
        // the memory for states is used up.
        if self.slot.state.revision() != self.revision || self.slot.weight.is_too_much() {
            *self.slot = Slot::default();
        }
    }
}

impl AggregateContext<State> for Loaded {
    fn aggregate(&mut self) -> &mut State {
        &mut self.slot.state
    }
}
