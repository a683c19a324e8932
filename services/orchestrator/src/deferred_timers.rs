//! Timers that are set late. Most groups and requests end long before their timer would matter. The
//! orchestrator therefore sets a timer only after the timer has been wanted for a moment. Until
//! then it holds the commit that wants the timer unacked, so that the broker redelivers the commit
//! if this instance dies.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::{GroupIndex, RequestId, Run, Sequence};
use jiff::Timestamp;
use metrics::{Counter, Gauge, Level as _};
use nats::{Delivery, Error, Timers};
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// How long a timer is wanted before it is set. The delay is long enough that a request that waits
/// its turn under load sets no timer. It is at most 1/`HOLD_PART` of `ACK_WAIT_MS`, because the
/// broker redelivers a held commit after that time.
const HOLD: Duration = Duration::from_millis(2_500);
const HOLD_PART: u32 = 4;
/// How many timers this instance remembers to have set. A forgotten timer is not cleared and fires
/// late, which changes nothing.
const SET_MAX: usize = 200_000;

/// The name of a timer. A run of a request has one, and so does each of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    Group(RequestId, GroupIndex, Run),
    Request(RequestId, Run),
}

/// A timer that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub timer: Timer,
    /// When the timer is to fire, by the clock of the broker.
    pub due: Timestamp,
    /// The deadline by which the log names the start of a group.
    pub deadline: Timestamp,
}

/// A commit that is acked once none of its timers is held any longer.
pub struct Commit {
    delivery: Delivery,
    /// One hold for the task that works on the commit, and one for each timer.
    holds: AtomicUsize,
    /// Whether another instance may already have applied the effects of the commit.
    comes_again: bool,
}

impl Commit {
    /// Wraps a delivered commit. A commit at or before sequence `began` is older than this
    /// instance. It counts as redelivered, because its consumer may have been recreated.
    pub fn new(delivery: Delivery, began: Sequence) -> Arc<Self> {
        let comes_again = delivery
            .place()
            .is_ok_and(|place| place.delivered > 1 || place.sequence <= began.get());
        Arc::new(Self {
            delivery,
            holds: AtomicUsize::new(1),
            comes_again,
        })
    }

    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Whether another instance may already have applied the effects and set the timers.
    pub fn comes_again(&self) -> bool {
        self.comes_again
    }

    /// Whether this is another delivery of the same message.
    fn is_delivery_of(&self, other: &Self) -> bool {
        match (self.delivery.place(), other.delivery.place()) {
            (Ok(one), Ok(other)) => one.sequence == other.sequence,
            _ => false,
        }
    }

    /// Releases one hold. The last release acks the commit.
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
    /// The timers that this instance has set. A commit may be redelivered after its timer was set.
    set: Cache<Timer, ()>,
    /// The held timers in the order in which they were wanted, each with the time to set it.
    order: Mutex<VecDeque<(Instant, Timer)>>,
    counted: Counted,
}

struct Counted {
    groups_set: Counter,
    requests_set: Counter,
    held: Gauge,
}

impl Counted {
    fn set(&self, timer: Timer) {
        match timer {
            Timer::Group(..) => self.groups_set.inc(),
            Timer::Request(..) => self.requests_set.inc(),
        };
    }
}

struct Entry {
    wanted: Wanted,
    commit: Arc<Commit>,
    /// Locked while the timer is being set. A caller that drops the timer waits for the lock, and
    /// then knows whether there is a timer to clear.
    stage: tokio::sync::Mutex<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    DeferredTimers,
    Set,
    /// The timer is no longer wanted.
    Gone,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DeferredTimers {
    pub fn new(ack_wait: Duration, counted: metrics::Timers) -> Self {
        Self {
            hold: HOLD.min(ack_wait / HOLD_PART),
            wanted: Mutex::default(),
            set: Cache::new(SET_MAX),
            order: Mutex::default(),
            counted: Counted {
                groups_set: counted.set("group"),
                requests_set: counted.set("request"),
                held: counted.held,
            },
        }
    }

    /// Whether a timer is due before it would be set.
    pub fn is_soon(&self, due: Timestamp) -> bool {
        let left = Duration::try_from(due.duration_since(Timestamp::now()));
        !left.is_ok_and(|left| left > self.hold)
    }

    /// Whether a timer is held and not yet set.
    pub fn is_held(&self, timer: Timer) -> bool {
        lock(&self.wanted).contains_key(&timer)
    }

    /// Holds a commit for a timer that it wants. Where an earlier delivery of the same message holds
    /// it, that hold is dropped and not released: the ack of either delivery would ack the message,
    /// and the timer is not set.
    pub async fn hold(&self, wanted: Wanted, commit: &Arc<Commit>) {
        commit.holds.fetch_add(1, Ordering::AcqRel);
        let entry = Arc::new(Entry {
            wanted,
            commit: commit.clone(),
            stage: tokio::sync::Mutex::new(Stage::DeferredTimers),
        });
        let (before, held) = {
            let mut all = lock(&self.wanted);
            (all.insert(wanted.timer, entry), all.len())
        };
        self.counted.held.count(held as u64);
        lock(&self.order).push_back((Instant::now() + self.hold, wanted.timer));
        if let Some(before) = before {
            let again = !Arc::ptr_eq(&before.commit, commit);
            if !(again && before.commit.is_delivery_of(commit)) {
                before.commit.release().await;
            }
        }
    }

    /// Sets a timer at once, and then drops a held timer of the same name, which would later replace
    /// this one. Where the timer cannot be set, the held one stays.
    pub async fn set_now(&self, timers: &Timers, wanted: Wanted) -> Result<(), Error> {
        let timer = wanted.timer;
        let held = lock(&self.wanted).get(&timer).cloned();
        let Some(entry) = held else {
            set(timers, wanted).await?;
            self.counted.set(timer);
            self.set.insert(timer, ());
            return Ok(());
        };
        let mut stage = entry.stage.lock().await;
        set(timers, wanted).await?;
        self.counted.set(timer);
        *stage = Stage::Gone;
        self.set.insert(timer, ());
        drop(stage);
        self.done_with(timer, &entry).await;
        Ok(())
    }

    /// Drops a timer that is no longer wanted. Returns whether no instance ever set it.
    pub async fn let_go(&self, timer: Timer) -> bool {
        let (held, left) = {
            let mut all = lock(&self.wanted);
            (all.remove(&timer), all.len())
        };
        self.counted.held.count(left as u64);
        let Some(entry) = held else {
            self.set.remove(&timer);
            return false;
        };
        let stage = std::mem::replace(&mut *entry.stage.lock().await, Stage::Gone);
        let set_before = self.set.remove(&timer).is_some();
        entry.commit.release().await;
        stage == Stage::DeferredTimers && !set_before && !entry.commit.comes_again()
    }

    /// Waits until held timers are to be set. Never returns if none is held.
    pub async fn due(&self) {
        let first = lock(&self.order).front().map(|(at, _)| *at);
        match first {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Sets the timers that are due by now, or all of them. A timer that cannot be set stays held
    /// and is retried. The broker redelivers its commit if the commit stays unacked for too long.
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
        self.counted.set(timer);
        self.set.insert(timer, ());
        drop(stage);
        self.done_with(timer, &entry).await;
    }

    /// Removes a timer after it was set, unless another commit wants it by now.
    async fn done_with(&self, timer: Timer, entry: &Arc<Entry>) {
        let removed = {
            let mut wanted = lock(&self.wanted);
            let same = wanted
                .get(&timer)
                .is_some_and(|now| Arc::ptr_eq(now, entry));
            let removed = same && wanted.remove(&timer).is_some();
            self.counted.held.count(wanted.len() as u64);
            removed
        };
        if removed {
            entry.commit.release().await;
        }
    }
}

async fn set(timers: &Timers, wanted: Wanted) -> Result<(), Error> {
    match wanted.timer {
        Timer::Group(request, group, run) => {
            let group = (group, run);
            timers
                .set_group(request, group, wanted.deadline, wanted.due)
                .await
        }
        Timer::Request(request, run) => timers.set_request(request, run, wanted.due).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deferred(ack_wait: Duration) -> DeferredTimers {
        let counted = metrics::Metrics::default().orchestrator.timers;
        DeferredTimers::new(ack_wait, counted)
    }

    #[test]
    fn a_timer_that_is_due_before_it_would_be_set_is_not_deferred() {
        let due = |millis: i64| {
            let from_now = jiff::SignedDuration::from_millis(millis);
            Timestamp::now().checked_add(from_now).unwrap()
        };
        let held = deferred(Duration::from_secs(10));
        assert!(held.is_soon(due(-1_000)) && held.is_soon(due(2_400)));
        assert!(!held.is_soon(due(3_500)));
        let held = deferred(Duration::from_secs(1));
        assert!(
            !held.is_soon(due(1_000)),
            "no commit is held until it comes again"
        );
        let held = deferred(Duration::from_mins(5));
        assert!(!held.is_soon(due(3_500)), "nor for long");
    }
}
