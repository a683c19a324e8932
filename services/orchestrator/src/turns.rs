//! Taking turns: one item at a time for each request, in order of arrival. Different requests run
//! side by side, and tenants begin their turns in weighted round robin.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use domain::access::Tenant;
use domain::request::RequestId;
use nats::Delivery;
use runtime::{Shutdown, caught};
use tokio::task::{JoinError, JoinSet};

use crate::ready::{Ready, Weights};

/// The most bytes of items that wait for their turns. Further items stay at the broker. After a
/// pause there may be tens of thousands of them.
const WAITING_MAX_BYTES: usize = 32 * 1024 * 1024;
/// The most items that wait for their turns.
const WAITING_MAX: usize = 10_000;

/// An item that waits for its turn.
pub trait Waits {
    /// The message that the broker delivers again if it hears nothing. `None` if the item is not
    /// from the broker.
    fn delivery(&self) -> Option<&Delivery>;

    /// The size of its message in bytes.
    fn bytes(&self) -> usize {
        self.delivery().map_or(0, |delivery| delivery.body().len())
    }
}

/// The items of a request that wait.
struct Line<T> {
    tenant: Tenant,
    items: VecDeque<T>,
}

/// The items that wait for their turn, and the turns in progress.
pub struct Turns<T> {
    /// A request has a line as long as an item of it waits or is in progress.
    lines: HashMap<RequestId, Line<T>>,
    /// The requests without a turn in progress.
    ready: Ready<RequestId>,
    under_way: JoinSet<RequestId>,
    /// The number and the bytes of the items that wait.
    waiting: (usize, usize),
}

impl<T: Waits> Turns<T> {
    /// Nothing waits. Tenants begin their turns by these weights.
    pub fn new(weights: Weights) -> Self {
        Self {
            lines: HashMap::new(),
            ready: Ready::new(weights),
            under_way: JoinSet::new(),
            waiting: (0, 0),
        }
    }

    /// How many requests have a turn in progress.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether further items may wait.
    pub fn have_room(&self) -> bool {
        let (items, bytes) = self.waiting;
        items < WAITING_MAX && bytes < WAITING_MAX_BYTES
    }

    /// Puts an item at the end of its request's line.
    pub fn queue(&mut self, tenant: Tenant, request: RequestId, item: T) {
        self.waiting.0 += 1;
        self.waiting.1 += item.bytes();
        match self.lines.entry(request) {
            Entry::Occupied(mut line) => line.get_mut().items.push_back(item),
            Entry::Vacant(place) => {
                self.ready.push(tenant.clone(), request);
                let items = VecDeque::from([item]);
                place.insert(Line { tenant, items });
            }
        }
    }

    /// Begins the next turns of requests that have waiting items, while fewer than `places` are in
    /// progress. `take` decides how much of a line makes one turn, and `work` runs the turn.
    pub fn begin<F>(
        &mut self,
        places: usize,
        take: impl Fn(RequestId, &mut VecDeque<T>) -> Vec<T>,
        work: impl Fn(RequestId, Vec<T>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.under_way.len() < places
            && let Some(request) = self.ready.pop()
        {
            let line = self.lines.get_mut(&request);
            let turn = line.map(|line| take(request, &mut line.items));
            let turn = turn.unwrap_or_default();
            if turn.is_empty() {
                self.lines.remove(&request);
                continue;
            }
            self.waiting.0 -= turn.len();
            self.waiting.1 -= turn.iter().map(T::bytes).sum::<usize>();
            let working = work(request, turn);
            self.under_way.spawn(async move {
                // The messages of this turn are redelivered, and the line goes on.
                if let Err(panic) = caught(working).await {
                    tracing::error!(%request, panic, "the work on a request panicked");
                }
                request
            });
        }
    }

    /// Waits until a turn has ended. Never returns if no turn is in progress.
    pub async fn ended(&mut self) {
        let Some(first) = self.under_way.join_next().await else {
            return std::future::pending().await;
        };
        self.go_on(&first);
        while let Some(ended) = self.under_way.try_join_next() {
            self.go_on(&ended);
        }
    }

    /// Lets a request whose turn has ended have another one. Without an item that waits, `begin`
    /// removes its line.
    fn go_on(&mut self, ended: &Result<RequestId, JoinError>) {
        if let Ok(request) = ended
            && let Some(line) = self.lines.get(request)
        {
            self.ready.push(line.tenant.clone(), *request);
        }
    }

    /// Tells the broker that the waiting items are not lost, so that it does not deliver them again.
    pub async fn show_signs_of_life(&self) {
        let waiting = self.lines.values().flat_map(|line| &line.items);
        for delivery in waiting.filter_map(Waits::delivery) {
            if let Err(error) = delivery.in_progress().await {
                tracing::debug!(%error, "a waiting message could show no sign of life");
                return;
            }
        }
    }

    /// Takes out every item whose turn has not begun.
    pub fn not_begun(&mut self) -> Vec<T> {
        self.ready.clear();
        self.waiting = (0, 0);
        self.lines
            .drain()
            .flat_map(|(_, line)| line.items)
            .collect()
    }

    /// Waits for the turns in progress, unless the shutdown drops them.
    pub async fn finish(mut self, shutdown: &Shutdown) {
        let rest = async { while self.under_way.join_next().await.is_some() {} };
        shutdown.unless_hard(rest).await;
    }
}
