//! Callers that wait for a request to go on. They wait on the log: its follower wakes whoever
//! waits for the request that went on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::RequestId;
use nats::{Commit, Connection, Error, Follower, Notice};
use runtime::Shutdown;
use tokio::sync::watch;

use crate::sharing::{Caller, Part, Shared};

/// The pause before following is taken up again after it broke.
const FOLLOW_AGAIN: Duration = Duration::from_millis(200);

/// What was seen of a request since somebody waits for it.
#[derive(Clone, Debug, Default)]
struct Mark {
    /// How often it may have gone on.
    changes: u64,
    /// How often it may have ended.
    ends: u64,
    /// Its last end, where that was seen.
    end: Option<Arc<Notice>>,
}

type Marks = Mutex<HashMap<RequestId, watch::Sender<Mark>>>;

/// Everybody who waits.
pub struct Waiters {
    marks: Arc<Marks>,
    /// The places of those who wait for an answer.
    answers: Shared,
    /// The places of those who follow a request live.
    streams: Shared,
}

/// One caller's place; given up when it is dropped.
pub struct Waiter {
    marks: Arc<Marks>,
    request: RequestId,
    mark: watch::Receiver<Mark>,
    seen: Mark,
    _place: Part,
}

fn locked(marks: &Marks) -> MutexGuard<'_, HashMap<RequestId, watch::Sender<Mark>>> {
    marks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiters {
    /// Room for so many who wait for an answer, and so many who follow live.
    pub fn new(answers_max: usize, streams_max: usize) -> Self {
        Self {
            marks: Arc::default(),
            answers: Shared::places(answers_max),
            streams: Shared::places(streams_max),
        }
    }

    /// A place among those who wait for an answer about this request; none where too many wait
    /// already, in all or from there.
    pub fn register(&self, request: RequestId, caller: Caller) -> Option<Waiter> {
        let place = self.answers.take(caller, 1).ok()?;
        Some(self.watch(request, place))
    }

    /// The same among those who follow a request live.
    pub fn register_stream(&self, request: RequestId, caller: Caller) -> Option<Waiter> {
        let place = self.streams.take(caller, 1).ok()?;
        Some(self.watch(request, place))
    }

    fn watch(&self, request: RequestId, place: Part) -> Waiter {
        let mark = locked(&self.marks)
            .entry(request)
            .or_insert_with(|| watch::Sender::new(Mark::default()))
            .subscribe();
        let seen = mark.borrow().clone();
        Waiter {
            marks: self.marks.clone(),
            request,
            mark,
            seen,
            _place: place,
        }
    }

    /// Follows the log for as long as the process runs.
    pub async fn follow(&self, connection: &Connection, shards: u8, shutdown: &Shutdown) {
        loop {
            if let Err(error) = self.follow_once(connection, shards).await {
                tracing::warn!(%error, "following the log is taken up again");
            }
            self.wake_all();
            let pause = tokio::time::sleep(FOLLOW_AGAIN);
            if shutdown.unless_hard(pause).await.is_none() {
                return;
            }
        }
    }

    /// Whatever happened meanwhile was not seen: everybody is to look for themselves.
    fn wake_all(&self) {
        for sender in locked(&self.marks).values() {
            sender.send_modify(|mark| {
                mark.changes += 1;
                mark.ends += 1;
                mark.end = None;
            });
        }
    }

    async fn follow_once(&self, connection: &Connection, shards: u8) -> Result<(), Error> {
        let mut follower = Follower::open(connection, shards).await?;
        self.wake_all();
        loop {
            match follower.next().await? {
                Some(notice) => self.wake(notice),
                None => self.wake_all(),
            }
        }
    }

    fn wake(&self, notice: Notice) {
        let marks = locked(&self.marks);
        let Some(sender) = marks.get(&notice.request) else {
            return;
        };
        sender.send_modify(|mark| {
            mark.changes += 1;
            if notice.terminal {
                mark.ends += 1;
                mark.end = Some(Arc::new(notice));
            }
        });
    }
}

impl Waiter {
    /// Returns when the request may have gone on: look, and wait again where it has not.
    pub async fn changed(&mut self) {
        let seen = self.seen.changes;
        self.until(|mark| mark.changes != seen).await;
    }

    /// Returns when the request may have ended.
    pub async fn ended(&mut self) {
        let seen = self.seen.ends;
        self.until(|mark| mark.ends != seen).await;
    }

    /// The commit the request ended with, where it was seen: [`Self::ended`] may have returned
    /// without.
    pub fn end(&self) -> Option<Commit> {
        self.seen.end.as_ref()?.commit().ok()
    }

    async fn until(&mut self, is: impl FnMut(&Mark) -> bool) {
        // The sender lives as long as this place in the map.
        if let Ok(mark) = self.mark.wait_for(is).await {
            self.seen = mark.clone();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut marks = locked(&self.marks);
        // This place is one of the receivers still counted.
        if marks
            .get(&self.request)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            marks.remove(&self.request);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn streams_take_no_place_of_those_who_wait_and_one_address_not_all_of_either() {
        let waiters = Waiters::new(300, 300);
        let request = RequestId::new(uuid::Uuid::nil());
        let caller = |last| Caller::from(SocketAddr::from(([10, 0, 0, last], 1)));
        let streams: Vec<Waiter> = (0..256)
            .map(|_| waiters.register_stream(request, caller(1)).unwrap())
            .collect();
        assert!(waiters.register_stream(request, caller(1)).is_none());
        let waits: Vec<Waiter> = (0..256)
            .map(|_| waiters.register(request, caller(1)).unwrap())
            .collect();
        assert!(waiters.register(request, caller(1)).is_none());
        let others: Vec<Waiter> = (0..44)
            .map(|_| waiters.register(request, caller(2)).unwrap())
            .collect();
        assert!(waiters.register(request, caller(2)).is_none());
        assert!(waiters.register_stream(request, caller(2)).is_some());
        drop((streams, waits, others));
        assert!(waiters.register(request, caller(1)).is_some());
        assert!(locked(&waiters.marks).is_empty(), "nobody is remembered");
    }
}
