//! Taking turns: for one request one thing is done at a time, in the order in which it came;
//! different requests go on side by side.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use domain::request::RequestId;
use runtime::{Shutdown, caught};
use tokio::task::JoinSet;

/// What waits for its turn, and what is under way.
pub struct Turns<T> {
    /// A request has a line for as long as something of it waits or is under way.
    lines: HashMap<RequestId, VecDeque<T>>,
    /// The requests of which nothing is under way.
    ready: Vec<RequestId>,
    under_way: JoinSet<RequestId>,
}

impl<T> Turns<T> {
    pub fn new() -> Self {
        Self {
            lines: HashMap::new(),
            ready: Vec::new(),
            under_way: JoinSet::new(),
        }
    }

    /// How many requests have something under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Puts something at the end of its request's line.
    pub fn queue(&mut self, request: RequestId, item: T) {
        match self.lines.entry(request) {
            Entry::Occupied(mut line) => line.get_mut().push_back(item),
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([item]));
                self.ready.push(request);
            }
        }
    }

    /// Begins the next turn of every request that has one: `take` says how much of a line is one
    /// turn, and `work` does it.
    pub fn begin<F>(
        &mut self,
        take: impl Fn(&mut VecDeque<T>) -> Vec<T>,
        work: impl Fn(RequestId, Vec<T>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        for request in self.ready.drain(..) {
            let turn = self.lines.get_mut(&request).map(&take).unwrap_or_default();
            if turn.is_empty() {
                self.lines.remove(&request);
                continue;
            }
            let working = work(request, turn);
            self.under_way.spawn(async move {
                // What it was about comes again, and the line goes on.
                if let Err(panic) = caught(working).await {
                    tracing::error!(%request, panic, "a turn broke");
                }
                request
            });
        }
    }

    /// Waits until a turn has ended; for ever where nothing is under way.
    pub async fn ended(&mut self) {
        let Some(first) = self.under_way.join_next().await else {
            return std::future::pending().await;
        };
        self.ready.extend(first);
        while let Some(ended) = self.under_way.try_join_next() {
            self.ready.extend(ended);
        }
    }

    /// Lets what is under way end, unless it is to be dropped.
    pub async fn finish(mut self, shutdown: &Shutdown) {
        let rest = async { while self.under_way.join_next().await.is_some() {} };
        shutdown.unless_hard(rest).await;
    }
}
