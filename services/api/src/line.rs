//! What one connection is doing, as its socket, its calls and the listener see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use std::task::Waker;
use tokio::time::Instant;

use crate::sharing::{Caller, Part};

/// One connection.
pub struct Line {
    pub caller: Caller,
    phase: Mutex<Phase>,
    /// Its place among the connections.
    place: Mutex<Option<Part>>,
    /// Whether some of a call may still come that nobody reads.
    left: AtomicBool,
    /// Whoever is to see that it is closed.
    waker: AtomicWaker,
    /// The connection itself, where the last caller offered another protocol.
    upgrade: Mutex<Option<OnUpgrade>>,
}

/// Where a connection is between two calls, or within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has come since then: of the first call, or of the next.
    Idle(Instant),
    /// Of a call's head some has come, the first of it then.
    Head(Instant),
    /// A call is being answered.
    Call,
    /// Its answer is made and not all written yet; whether something of the next call has come.
    Answered { ahead: bool },
    /// It is to be closed, to make room.
    Closing,
}

impl Line {
    /// A connection that begins.
    pub fn new(caller: Caller, place: Part) -> Arc<Self> {
        Arc::new(Self {
            caller,
            phase: Mutex::new(Phase::Idle(Instant::now())),
            place: Mutex::new(Some(place)),
            left: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            upgrade: Mutex::new(None),
        })
    }

    fn locked(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn phase(&self) -> Phase {
        *self.locked()
    }

    /// Since when nothing has come, where it waits for a call.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Idle(since) => Some(since),
            _ => None,
        }
    }

    /// Keeps the connection itself for its end.
    pub fn keep_upgrade(&self, upgrade: OnUpgrade) {
        *self.upgrades() = Some(upgrade);
    }

    /// The connection itself, where it is to be closed by whoever asks.
    pub fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.upgrades().take()
    }

    fn upgrades(&self) -> MutexGuard<'_, Option<OnUpgrade>> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have come.
    pub fn came(&self) {
        let mut phase = self.locked();
        match &mut *phase {
            Phase::Idle(_) => *phase = Phase::Head(Instant::now()),
            Phase::Answered { ahead } => *ahead = true,
            _ => {}
        }
    }

    /// A head is whole.
    pub fn called(&self) {
        *self.locked() = Phase::Call;
    }

    /// Some of a call is yet to come, or all of it was read.
    pub fn leave(&self, left: bool) {
        self.left.store(left, Ordering::Relaxed);
    }

    /// Whether some of a call may still come that nobody reads.
    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Only what nobody reads is waited for from now on: it may make room.
    pub fn lingers(&self) {
        let mut phase = self.locked();
        if *phase != Phase::Closing {
            *phase = Phase::Idle(Instant::now());
        }
    }

    /// An answer is made, to its end.
    fn answered(&self) {
        let mut phase = self.locked();
        if *phase == Phase::Call {
            *phase = Phase::Answered { ahead: false };
        }
    }

    /// All that was made is written; whether the connection waits for a call from now on.
    pub fn written(&self) -> bool {
        let mut phase = self.locked();
        let Phase::Answered { ahead } = *phase else {
            return false;
        };
        let now = Instant::now();
        *phase = if ahead {
            Phase::Head(now)
        } else {
            Phase::Idle(now)
        };
        true
    }

    /// Closes it if it is idle; whether it was. Its place is free at once.
    pub fn close(&self) -> bool {
        let mut phase = self.locked();
        if !matches!(*phase, Phase::Idle(_)) {
            return false;
        }
        *phase = Phase::Closing;
        drop(phase);
        self.give_place_back();
        self.waker.wake();
        true
    }

    /// It is over.
    pub fn end(&self) {
        *self.locked() = Phase::Closing;
        self.give_place_back();
    }

    fn give_place_back(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        drop(place.take());
    }

    /// Whom to wake when it is closed.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

/// An answer on its way: when it is dropped it is made.
pub struct Answering(pub Arc<Line>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}
