//! The state of one connection, shared by its socket, its calls and the listener.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use std::task::Waker;
use tokio::time::Instant;

use crate::http::sharing::{Caller, Part};

/// One connection.
pub struct Line {
    pub caller: Caller,
    phase: Mutex<Phase>,
    /// The connection's place among all connections.
    place: Mutex<Option<Part>>,
    /// Whether part of a call may still arrive that no code will read.
    left: AtomicBool,
    /// The task to wake when the connection is to be closed.
    waker: AtomicWaker,
    /// The connection itself, if the last call offered to upgrade the protocol.
    upgrade: Mutex<Option<OnUpgrade>>,
}

/// The phase of a connection: between two calls, or within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No byte of the next call has arrived since this time.
    Idle(Instant),
    /// Part of a call's head has arrived, its first byte at this time.
    Head(Instant),
    /// The server is answering a call.
    Call,
    /// The answer is complete but not all of it is written. `ahead` says whether bytes of the next
    /// call have arrived.
    Answered { ahead: bool },
    /// The connection is to be closed, to make room.
    Closing,
}

impl Line {
    /// A new connection.
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

    /// The time since which no byte has arrived, if the connection waits for a call.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Idle(since) => Some(since),
            _ => None,
        }
    }

    /// Keeps the connection itself, to close it at the end.
    pub fn keep_upgrade(&self, upgrade: OnUpgrade) {
        *self.upgrades() = Some(upgrade);
    }

    /// Takes the connection itself; the caller of this method then has to close it.
    pub fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.upgrades().take()
    }

    fn upgrades(&self) -> MutexGuard<'_, Option<OnUpgrade>> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that bytes have arrived.
    pub fn came(&self) {
        let mut phase = self.locked();
        match &mut *phase {
            Phase::Idle(_) => *phase = Phase::Head(Instant::now()),
            Phase::Answered { ahead } => *ahead = true,
            _ => {}
        }
    }

    /// Records that the head of a call is complete.
    pub fn called(&self) {
        *self.locked() = Phase::Call;
    }

    /// Records whether part of a call has not been read yet.
    pub fn leave(&self, left: bool) {
        self.left.store(left, Ordering::Relaxed);
    }

    /// Whether part of a call may still arrive that no code will read.
    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Records that the connection now waits only for bytes that no code reads. It may be closed to
    /// make room.
    pub fn lingers(&self) {
        let mut phase = self.locked();
        if *phase != Phase::Closing {
            *phase = Phase::Idle(Instant::now());
        }
    }

    /// Records that an answer is complete.
    fn answered(&self) {
        let mut phase = self.locked();
        if *phase == Phase::Call {
            *phase = Phase::Answered { ahead: false };
        }
    }

    /// Records that all output is written. Returns whether the connection now waits for a call.
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

    /// Closes the connection if it is idle, and frees its place at once. Returns whether it was
    /// idle.
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

    /// Records the end of the connection.
    pub fn end(&self) {
        *self.locked() = Phase::Closing;
        self.give_place_back();
    }

    fn give_place_back(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        drop(place.take());
    }

    /// Registers the task to wake when the connection is closed.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

/// An answer that is still being produced. Dropping it marks the answer as complete.
pub struct Answering(pub Arc<Line>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}
