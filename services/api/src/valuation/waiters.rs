//! Callers that wait for a request to move on. A follower of the log wakes the callers that wait
//! for a request with a new commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::RequestId;
use metrics::Level as _;
use nats::{Commit, Connection, Error, Follower, Notice};
use runtime::Shutdown;
use tokio::sync::watch;

use crate::http::sharing::{Caller, Part, Shared};
use crate::tenancy::Open;

/// The pause before the follower starts again after an error.
const FOLLOW_AGAIN: Duration = Duration::from_millis(200);

/// The changes to a request since a caller began to wait for it.
#[derive(Clone, Debug, Default)]
struct Mark {
    /// How many times the request may have moved on.
    changes: u64,
    /// How many times the request may have ended.
    ends: u64,
    /// The last end of the request, if the follower saw it.
    end: Option<Arc<Notice>>,
}

type Marks = Mutex<HashMap<RequestId, watch::Sender<Mark>>>;

/// All waiting callers.
pub struct Waiters {
    marks: Arc<Marks>,
    /// The places for callers that wait for an answer.
    answers: Shared,
    /// The places for callers that follow a request live.
    streams: Shared,
}

/// The place of one caller. Dropping it frees the place.
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
    /// Room for a number of callers that wait for an answer, and a number that follow live.
    pub fn new(answers_max: usize, streams_max: usize) -> Self {
        Self {
            marks: Arc::default(),
            answers: Shared::places(answers_max),
            streams: Shared::places(streams_max),
        }
    }

    /// Tells how many callers are held, and how many may be.
    pub fn tell(&self, http: &metrics::Http) {
        for (kind, places) in [("wait", &self.answers), ("stream", &self.streams)] {
            let (taken, most) = places.amounts();
            let (held, may_be_held) = http.waiters(kind);
            held.count(taken as u64);
            may_be_held.count(most as u64);
        }
    }

    /// A place among the callers that wait for an answer about this request. `None` when too many
    /// callers wait already, in total or from the same address.
    pub fn register(&self, request: RequestId, caller: Caller) -> Option<Waiter> {
        let place = self.answers.take(caller, 1).ok()?;
        Some(self.watch(request, place))
    }

    /// A place among the callers that follow a request live. `None` as for `register`.
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

    /// Follows the log while the process runs.
    pub async fn follow(
        &self,
        connection: &Connection,
        shards: u8,
        open: &Open,
        shutdown: &Shutdown,
    ) {
        loop {
            if let Err(error) = self.follow_once(connection, shards, open).await {
                tracing::warn!(%error, "the follower of the log will be restarted");
            }
            self.wake_all();
            let pause = tokio::time::sleep(FOLLOW_AGAIN);
            if shutdown.unless_hard(pause).await.is_none() {
                return;
            }
        }
    }

    /// Wakes all callers, because the follower may have missed commits. Each caller then checks its
    /// request.
    fn wake_all(&self) {
        for sender in locked(&self.marks).values() {
            sender.send_modify(|mark| {
                mark.changes += 1;
                mark.ends += 1;
                mark.end = None;
            });
        }
    }

    async fn follow_once(
        &self,
        connection: &Connection,
        shards: u8,
        open: &Open,
    ) -> Result<(), Error> {
        let mut follower = Follower::open(connection, shards).await?;
        self.wake_all();
        loop {
            match follower.next().await? {
                Some(notice) => {
                    open.hear(&notice);
                    self.wake(notice);
                }
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
    /// Returns when the request may have moved on. The caller checks, and waits again if the
    /// request has not.
    pub async fn changed(&mut self) {
        let seen = self.seen.changes;
        self.until(|mark| mark.changes != seen).await;
    }

    /// Returns when the request may have ended.
    pub async fn ended(&mut self) {
        let seen = self.seen.ends;
        self.until(|mark| mark.ends != seen).await;
    }

    /// The commit with which the request ended, if the follower saw it. [`Self::ended`] may return
    /// without one.
    pub fn end(&self) -> Option<Commit> {
        self.seen.end.as_ref()?.commit().ok()
    }

    async fn until(&mut self, is: impl FnMut(&Mark) -> bool) {
        // The sender lives as long as this entry in the map.
        if let Ok(mark) = self.mark.wait_for(is).await {
            self.seen = mark.clone();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut marks = locked(&self.marks);
        // This receiver is still counted.
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
    fn streams_and_waiting_callers_have_separate_places_and_no_address_takes_all_of_either() {
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
