//! The callers of a run, spread evenly over its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::documents::Order;
use crate::http;
use crate::ledger::Ledger;
use crate::timeline::Timeline;

/// Requests of which a caller waits for something at once. Beyond it, the next ones come later.
const CALLERS_MAX: usize = 400;

pub struct Load {
    pub http: reqwest::Client,
    pub apis: Vec<String>,
    pub timeline: Timeline,
    over: AtomicBool,
    under_way: AtomicUsize,
    begun: AtomicUsize,
}

impl Load {
    pub fn new(apis: Vec<String>, timeline: &Timeline) -> anyhow::Result<Self> {
        Ok(Self {
            http: http::client()?,
            apis,
            timeline: timeline.clone(),
            over: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        })
    }

    /// Whether callers are to give up now.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// How many requests have begun, and how many of them still have a caller.
    pub fn progress(&self) -> (usize, usize) {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun, self.under_way.load(Ordering::Relaxed))
    }

    /// Submits so many requests within a time from now on, and awaits all their callers.
    pub async fn run(self: Arc<Self>, seed: u64, requests: usize, over: Duration, ledger: &Ledger) {
        let begun = self.timeline.now();
        let places = Arc::new(Semaphore::new(CALLERS_MAX));
        let mut callers = JoinSet::new();
        for number in 0..requests {
            let part = u32::try_from(number).unwrap_or(u32::MAX);
            let all = u32::try_from(requests).unwrap_or(u32::MAX);
            let due = begun + over.mul_f64(f64::from(part) / f64::from(all));
            self.timeline.until(due).await;
            // Nobody closes it.
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            if self.is_over() {
                break;
            }
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let caller = Caller::new(self.clone(), Order::new(seed, number));
            let load = self.clone();
            callers.spawn(async move {
                let record = caller.run().await;
                load.under_way.fetch_sub(1, Ordering::Relaxed);
                drop(place);
                record
            });
            while let Some(ended) = callers.try_join_next() {
                ledger.keep(ended.unwrap());
            }
        }
        while let Some(ended) = callers.join_next().await {
            ledger.keep(ended.unwrap());
        }
    }
}
