//! Callers that wait for the end of a request. They wait on the log: one follower for each
//! shard wakes whoever waits for the request that ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::RequestId;
use nats::{Connection, Error, Follower};
use runtime::Shutdown;
use tokio::sync::watch;

/// The pause before following is taken up again after it broke.
const FOLLOW_AGAIN: Duration = Duration::from_millis(200);

/// Everybody who waits.
pub struct Waiters {
    by_request: Mutex<HashMap<RequestId, watch::Sender<u64>>>,
    waiting: AtomicUsize,
    most: usize,
}

/// One caller's place; given up when it is dropped.
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    request: RequestId,
    woken: watch::Receiver<u64>,
}

impl Waiters {
    pub fn new(most: usize) -> Self {
        Self {
            by_request: Mutex::default(),
            waiting: AtomicUsize::new(0),
            most,
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<RequestId, watch::Sender<u64>>> {
        self.by_request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those who wait for this request; none where too many wait already.
    pub fn register(&self, request: RequestId) -> Option<Waiter<'_>> {
        let taken = self.waiting.fetch_add(1, Ordering::Relaxed);
        if taken >= self.most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let woken = self
            .map()
            .entry(request)
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        Some(Waiter {
            waiters: self,
            request,
            woken,
        })
    }

    /// Follows a shard for as long as the process runs.
    pub async fn follow(&self, connection: &Connection, shard: u8, shutdown: &Shutdown) {
        loop {
            if let Err(error) = self.follow_once(connection, shard).await {
                tracing::warn!(%error, shard, "following the log is taken up again");
            }
            // Whatever ended meanwhile was not seen: everybody is to look for themselves.
            for sender in self.map().values() {
                sender.send_modify(|times| *times += 1);
            }
            if shutdown
                .unless_hard(tokio::time::sleep(FOLLOW_AGAIN))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn follow_once(&self, connection: &Connection, shard: u8) -> Result<(), Error> {
        let mut follower = Follower::open(connection, shard).await?;
        for sender in self.map().values() {
            sender.send_modify(|times| *times += 1);
        }
        loop {
            let notice = follower.next().await?;
            if notice.terminal
                && let Some(sender) = self.map().get(&notice.request)
            {
                sender.send_modify(|times| *times += 1);
            }
        }
    }
}

impl Waiter<'_> {
    /// Returns when the request may have ended: look, and wait again where it has not.
    pub async fn woken(&mut self) {
        // The sender lives as long as this place in the map.
        let _ = self.woken.changed().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut map = self.waiters.map();
        // This place is one of the receivers still counted.
        if map
            .get(&self.request)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            map.remove(&self.request);
        }
    }
}
