//! Bulkheads around everything that lies outside the log: hosts that documents refer to, and the
//! object store. A turn that waits for the outside does not count against the places of a shard,
//! and no host can take the places that are there for all hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How many turns may wait for the outside without a place of their shard. Beyond it, they take
/// places again, so that memory stays bounded.
const TURNS_MAX: usize = 1_000;
/// How many fetches from one host are under way at once.
const HOST_FETCHES_MAX: usize = 64;
/// How many fetches from one host are under way or wait in its line. Further ones come again later.
const HOST_LINE_MAX: usize = 400;
/// How many payloads move to or from the object store at once.
const TRANSFERS_MAX: usize = 64;

/// The places of one process for work on the outside.
pub struct Outside {
    turns: watch::Sender<usize>,
    hosts: Mutex<HashMap<String, Host>>,
    transfers: Arc<Semaphore>,
}

/// The fetches from one host.
struct Host {
    places: Arc<Semaphore>,
    /// How many fetches are under way or wait.
    in_line: usize,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            turns: watch::Sender::new(0),
            hosts: Mutex::default(),
            transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
        }
    }
}

impl Outside {
    /// How many turns wait for the outside and need no place of their shard.
    pub fn turns(&self) -> usize {
        (*self.turns.borrow()).min(TURNS_MAX)
    }

    /// Signals each change in the number of these turns.
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.turns.subscribe()
    }

    /// Gives up the place of a turn until the guard is dropped.
    pub fn wait(&self) -> Waits<'_> {
        self.turns.send_modify(|turns| *turns += 1);
        Waits(self)
    }

    /// Waits for a place for a transfer. The turn gives up its place of the shard meanwhile.
    pub async fn transfer(&self) -> (Waits<'_>, Option<OwnedSemaphorePermit>) {
        let waits = self.wait();
        (waits, self.transfers.clone().acquire_owned().await.ok())
    }

    /// Waits for a place at a host. `None` says that its line is full.
    pub async fn fetch(&self, host: &str) -> Option<AtHost<'_>> {
        let (place, places) = self.line_up(host)?;
        let permit = places.acquire_owned().await.ok()?;
        Some(AtHost {
            _in_line: place,
            _permit: permit,
        })
    }

    fn line_up(&self, host: &str) -> Option<(InLine<'_>, Arc<Semaphore>)> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let found = hosts.entry(host.to_owned()).or_insert_with(|| Host {
            places: Arc::new(Semaphore::new(HOST_FETCHES_MAX)),
            in_line: 0,
        });
        if found.in_line >= HOST_LINE_MAX {
            return None;
        }
        found.in_line += 1;
        let places = found.places.clone();
        drop(hosts);
        let host = host.to_owned();
        let outside = self;
        Some((InLine { outside, host }, places))
    }
}

/// A turn that waits for the outside.
pub struct Waits<'a>(&'a Outside);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.turns.send_modify(|turns| *turns -= 1);
    }
}

/// A fetch that is under way.
pub struct AtHost<'a> {
    _in_line: InLine<'a>,
    _permit: OwnedSemaphorePermit,
}

/// A fetch that is under way or waits.
struct InLine<'a> {
    outside: &'a Outside,
    host: String,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let hosts = self.outside.hosts.lock();
        let mut hosts = hosts.unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get_mut(&self.host) {
            host.in_line -= 1;
            if host.in_line == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_full_line_at_one_host_keeps_no_other_host_waiting() {
        let outside = Outside::default();
        let mut under_way = Vec::new();
        for _ in 0..HOST_FETCHES_MAX {
            under_way.push(outside.fetch("slow").await.unwrap());
        }
        let mut line: Vec<_> = (HOST_FETCHES_MAX..HOST_LINE_MAX)
            .map(|_| Box::pin(outside.fetch("slow")))
            .collect();
        for waiting in &mut line {
            assert!(waiting.now_or_never().is_none());
        }
        assert!(outside.fetch("slow").await.is_none(), "the line is full");
        assert!(outside.fetch("other").await.is_some());
        drop((line, under_way));
        assert!(outside.fetch("slow").await.is_some());
        assert!(outside.hosts.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_turn_that_waits_for_the_outside_needs_no_place_up_to_a_limit() {
        let outside = Outside::default();
        let mut changes = outside.changes();
        let waits: Vec<_> = (0..=TURNS_MAX).map(|_| outside.wait()).collect();
        assert_eq!(outside.turns(), TURNS_MAX);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        drop(waits);
        assert_eq!(outside.turns(), 0);
        assert!(changes.has_changed().unwrap());
    }
}
