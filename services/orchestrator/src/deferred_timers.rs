//! Timers are set late. Most groups and requests end long before anybody would miss their timer,
//! so it is not set until it has been wanted for a moment; until then the commit that wants it is
//! held unacked, and comes again where this instance dies.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::RequestId;
use jiff::Timestamp;
use nats::{Delivery, Error, Timers};
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// How long a timer is wanted before it is set, so that a request that waits its turn under load
/// sets none; no longer than this part of `ACK_WAIT_MS`, after which a held commit comes again.
const HOLD: Duration = Duration::from_millis(2_500);
const HOLD_PART: u32 = 4;
/// Of how many timers it is remembered that they were set from here. One that is forgotten fires
/// late, which changes nothing.
const SET_MAX: usize = 200_000;

/// Which timer; a request has one, and each of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    Group(RequestId, u32),
    Request(RequestId),
}

/// A timer that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub timer: Timer,
    /// When it is to fire.
    pub due: Timestamp,
    /// The run that a request's timer limits.
    pub run: u32,
}

/// A commit that waits for its ack until none of its timers is held any more.
pub struct Commit {
    delivery: Delivery,
    /// One for whoever works on it, and one for each timer.
    holds: AtomicUsize,
    /// Whether it may have been followed up by another instance.
    comes_again: bool,
}

impl Commit {
    /// One that was stored up to sequence `began`, before this instance was there, comes again as
    /// one that was delivered before: its consumer may have been made anew.
    pub fn new(delivery: Delivery, began: u64) -> Arc<Self> {
        let comes_again = delivery
            .place()
            .is_ok_and(|place| place.delivered > 1 || place.sequence <= began);
        Arc::new(Self {
            delivery,
            holds: AtomicUsize::new(1),
            comes_again,
        })
    }

    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Whether it may have been followed up, and its timers set, by another instance.
    pub fn comes_again(&self) -> bool {
        self.comes_again
    }

    /// Gives one hold up; the last acks the commit.
    pub async fn release(&self) {
        if self.holds.fetch_sub(1, Ordering::AcqRel) == 1
            && let Err(error) = self.delivery.ack().await
        {
            tracing::debug!(%error, "a commit could not be acked; it comes again");
        }
    }
}

/// The timers that are wanted and not yet set.
pub struct DeferredTimers {
    /// How long a timer is wanted before it is set.
    hold: Duration,
    wanted: Mutex<HashMap<Timer, Arc<Entry>>>,
    /// Those that were set from here: a commit may come again after its timer was set.
    set: Cache<Timer, ()>,
    /// In the order in which they were wanted, each with when it is to be set.
    order: Mutex<VecDeque<(Instant, Timer)>>,
}

struct Entry {
    wanted: Wanted,
    commit: Arc<Commit>,
    /// Locked while it is being set: whoever lets it go waits, and knows what is there to clear.
    stage: tokio::sync::Mutex<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    DeferredTimers,
    Set,
    /// Nobody wants it any more.
    Gone,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DeferredTimers {
    pub fn new(ack_wait: Duration) -> Self {
        Self {
            hold: HOLD.min(ack_wait / HOLD_PART),
            wanted: Mutex::default(),
            set: Cache::new(SET_MAX),
            order: Mutex::default(),
        }
    }

    /// Whether a timer is due before it would be set.
    pub fn is_soon(&self, due: Timestamp) -> bool {
        let left = Duration::try_from(due.duration_since(Timestamp::now()));
        !left.is_ok_and(|left| left > self.hold)
    }

    /// Holds a commit for a timer that it wants.
    pub async fn hold(&self, wanted: Wanted, commit: &Arc<Commit>) {
        commit.holds.fetch_add(1, Ordering::AcqRel);
        let entry = Arc::new(Entry {
            wanted,
            commit: commit.clone(),
            stage: tokio::sync::Mutex::new(Stage::DeferredTimers),
        });
        let before = lock(&self.wanted).insert(wanted.timer, entry);
        lock(&self.order).push_back((Instant::now() + self.hold, wanted.timer));
        if let Some(before) = before {
            before.commit.release().await;
        }
    }

    /// Sets a timer that is not to be held. One of before that is still held would take its place.
    pub async fn set_now(&self, timers: &Timers, wanted: Wanted) -> Result<(), Error> {
        let before = lock(&self.wanted).remove(&wanted.timer);
        if let Some(entry) = before {
            *entry.stage.lock().await = Stage::Gone;
            entry.commit.release().await;
        }
        set(timers, wanted).await?;
        self.set.insert(wanted.timer, ());
        Ok(())
    }

    /// Lets a timer go that is not wanted any more; says whether it was never set, by anybody.
    pub async fn let_go(&self, timer: Timer) -> bool {
        let held = lock(&self.wanted).remove(&timer);
        let Some(entry) = held else {
            self.set.remove(&timer);
            return false;
        };
        let stage = std::mem::replace(&mut *entry.stage.lock().await, Stage::Gone);
        let set_before = self.set.remove(&timer).is_some();
        entry.commit.release().await;
        stage == Stage::DeferredTimers && !set_before && !entry.commit.comes_again()
    }

    /// Waits until some are to be set; for ever where none is held.
    pub async fn due(&self) {
        let first = lock(&self.order).front().map(|(at, _)| *at);
        match first {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Sets those that are due by now, or all of them. One that cannot be set stays held and is
    /// tried again; its commit comes again when it was not acked for too long.
    pub async fn set(&self, timers: &Timers, all: bool) {
        let now = Instant::now();
        let due: Vec<Timer> = {
            let mut order = lock(&self.order);
            let due = order.iter().take_while(|(at, _)| all || *at <= now).count();
            order.drain(..due).map(|(_, timer)| timer).collect()
        };
        let setting = due.into_iter().map(|timer| self.set_one(timers, timer));
        futures::future::join_all(setting).await;
    }

    async fn set_one(&self, timers: &Timers, timer: Timer) {
        let Some(entry) = lock(&self.wanted).get(&timer).cloned() else {
            return;
        };
        let mut stage = entry.stage.lock().await;
        if *stage != Stage::DeferredTimers {
            return;
        }
        if let Err(error) = set(timers, entry.wanted).await {
            tracing::warn!(?timer, %error, "a timer could not be set yet");
            lock(&self.order).push_back((Instant::now() + self.hold, timer));
            return;
        }
        *stage = Stage::Set;
        self.set.insert(timer, ());
        drop(stage);
        self.done_with(timer, &entry).await;
    }

    /// Takes a timer out that was set, unless another commit wants it by now.
    async fn done_with(&self, timer: Timer, entry: &Arc<Entry>) {
        let removed = {
            let mut wanted = lock(&self.wanted);
            let same = wanted
                .get(&timer)
                .is_some_and(|now| Arc::ptr_eq(now, entry));
            same && wanted.remove(&timer).is_some()
        };
        if removed {
            entry.commit.release().await;
        }
    }
}

async fn set(timers: &Timers, wanted: Wanted) -> Result<(), Error> {
    match wanted.timer {
        Timer::Group(request, group) => timers.set_group(request, group, wanted.due).await,
        Timer::Request(request) => timers.set_request(request, wanted.run, wanted.due).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_due_before_it_would_be_set_is_not_held() {
        let due = |millis: i64| {
            let from_now = jiff::SignedDuration::from_millis(millis);
            Timestamp::now().checked_add(from_now).unwrap()
        };
        let held = DeferredTimers::new(Duration::from_secs(10));
        assert!(held.is_soon(due(-1_000)) && held.is_soon(due(2_400)));
        assert!(!held.is_soon(due(3_500)));
        let held = DeferredTimers::new(Duration::from_secs(1));
        assert!(
            !held.is_soon(due(1_000)),
            "no commit is held until it comes again"
        );
        let held = DeferredTimers::new(Duration::from_mins(5));
        assert!(!held.is_soon(due(3_500)), "nor for long");
    }
}
