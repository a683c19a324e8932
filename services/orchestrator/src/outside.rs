//! Bulkheads around everything that lies outside the log: hosts that documents refer to, and the
//! object store. A turn that waits for the outside does not count against the places of a shard,
//! and no host can take the places that are there for all hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::ReferencesConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How much work on the outside one process does at once.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// How many turns may wait for the outside without a place of their shard. Beyond it, they take
    /// places again, so that memory stays bounded.
    pub turns: usize,
    /// How many fetches from one host are under way at once.
    pub host_fetches: usize,
    /// How many fetches from one host are under way or wait in its line. Further ones come again
    /// later.
    pub host_line: usize,
    /// How many payloads move to or from the object store at once.
    pub transfers: usize,
}

impl Places {
    pub fn of(references: &ReferencesConfig) -> Self {
        Self {
            turns: references.outside_turns_max,
            host_fetches: references.href_host_fetches_max,
            host_line: references.href_host_line_max,
            transfers: references.transfers_max,
        }
    }
}

/// The places of one process for work on the outside.
pub struct Outside {
    most: Places,
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

impl Outside {
    pub fn new(most: Places) -> Self {
        Self {
            most,
            turns: watch::Sender::new(0),
            hosts: Mutex::default(),
            transfers: Arc::new(Semaphore::new(most.transfers)),
        }
    }

    /// How many turns wait for the outside and need no place of their shard.
    pub fn turns(&self) -> usize {
        (*self.turns.borrow()).min(self.most.turns)
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

    /// Waits for a place for a transfer.
    pub async fn transfer(&self) -> Option<OwnedSemaphorePermit> {
        self.transfers.clone().acquire_owned().await.ok()
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
            places: Arc::new(Semaphore::new(self.most.host_fetches)),
            in_line: 0,
        });
        if found.in_line >= self.most.host_line {
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

    const PLACES: Places = Places {
        turns: 10,
        host_fetches: 3,
        host_line: 5,
        transfers: 2,
    };

    #[tokio::test]
    async fn a_full_line_at_one_host_keeps_no_other_host_waiting() {
        let outside = Outside::new(PLACES);
        let mut under_way = Vec::new();
        for _ in 0..PLACES.host_fetches {
            under_way.push(outside.fetch("slow").await.unwrap());
        }
        let mut line: Vec<_> = (PLACES.host_fetches..PLACES.host_line)
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
        let outside = Outside::new(PLACES);
        let mut changes = outside.changes();
        let waits: Vec<_> = (0..=PLACES.turns).map(|_| outside.wait()).collect();
        assert_eq!(outside.turns(), PLACES.turns);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        drop(waits);
        assert_eq!(outside.turns(), 0);
        assert!(changes.has_changed().unwrap());
    }

    #[tokio::test]
    async fn a_transfer_waits_until_another_one_has_ended() {
        let outside = Outside::new(PLACES);
        let one = outside.transfer().await;
        let _two = outside.transfer().await;
        assert!(outside.transfer().now_or_never().is_none());
        drop(one);
        assert!(outside.transfer().now_or_never().is_some());
    }
}
