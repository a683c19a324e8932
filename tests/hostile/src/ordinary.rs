//! The ordinary caller: a small synchronous submission every 100 ms and a call to `/healthz` every
//! 50 ms, whatever the others do. It has a thread of its own, so that the generators of hostile
//! documents do not delay it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::{self, ORDINARY};

/// How long an ordinary caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const SUBMITS_EVERY: Duration = Duration::from_millis(100);
const LOOKS_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Submission,
    Health,
}

struct Call {
    what: What,
    at: Instant,
    /// How late the call was made: the delay of this machine, not of the program.
    late: Duration,
    /// `None` while the call is open.
    ended: Option<(Duration, Result<(), String>)>,
}

/// An ordinary caller that runs until it is dropped.
pub struct Ordinary {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    port: u16,
    calls: Mutex<Vec<Call>>,
    paused: AtomicBool,
    ended: AtomicBool,
}

/// The results of an ordinary caller in a period.
#[derive(Clone, Debug, Default)]
pub struct Met {
    pub calls: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    pub late: Duration,
    pub wrong: usize,
    /// The first error.
    pub first: Option<String>,
}

impl Ordinary {
    pub fn start(port: u16) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            port,
            calls: Mutex::default(),
            paused: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let own = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let of = state.clone();
        let thread = std::thread::Builder::new()
            .name("ordinary".into())
            .spawn(move || own.block_on(run(&of)))?;
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    /// Suspends the calls while the program is restarted.
    pub fn pause(&self, paused: bool) {
        self.state.paused.store(paused, Relaxed);
    }

    /// The results of calls that began since then, once all of them have ended.
    pub async fn met(&self, what: What, since: Instant) -> Met {
        let until = Instant::now();
        let within = |call: &&Call| call.what == what && call.at >= since && call.at <= until;
        loop {
            {
                let calls = self.state.calls();
                if calls.iter().filter(within).all(|call| call.ended.is_some()) {
                    return met(calls.iter().filter(within));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        self.state.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread does not panic. If it did, there would be nothing to report.
            let _ = thread.join();
        }
    }
}

impl State {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(state: &Arc<State>) {
    let begun = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for tick in 0_u32.. {
        let at = begun + LOOKS_EVERY * tick;
        tokio::time::sleep_until(at.into()).await;
        if state.ended.load(Relaxed) {
            return;
        }
        while under_way.try_join_next().is_some() {}
        if state.paused.load(Relaxed) {
            continue;
        }
        let every = u32::try_from(SUBMITS_EVERY.as_millis() / LOOKS_EVERY.as_millis()).unwrap_or(1);
        under_way.spawn(call(state.clone(), What::Health, at, tick));
        if tick % every == 0 {
            under_way.spawn(call(state.clone(), What::Submission, at, tick));
        }
    }
}

async fn call(state: Arc<State>, what: What, at: Instant, number: u32) {
    let begun = Instant::now();
    let place = {
        let mut calls = state.calls();
        calls.push(Call {
            what,
            at,
            late: begun.saturating_duration_since(at),
            ended: None,
        });
        calls.len() - 1
    };
    let answered = match what {
        What::Health => http::get(state.port, ORDINARY, "/healthz", PATIENCE).await,
        What::Submission => {
            let request = http::post("/valuation?sync=Y", &[], document(number).as_bytes());
            http::send(state.port, ORDINARY, &request, PATIENCE).await
        }
    };
    let time = begun.elapsed();
    let right = answered.and_then(|answer| {
        let body = String::from_utf8_lossy(&answer.body);
        let right = what == What::Health || *body == response(number);
        let start: String = body.chars().take(160).collect();
        let wrong = || format!("{}: {start}", answer.status);
        (answer.status == 200 && right)
            .then_some(())
            .ok_or_else(wrong)
    });
    state.calls()[place].ended = Some((time, right));
}

fn met<'c>(calls: impl Iterator<Item = &'c Call>) -> Met {
    let mut met = Met::default();
    let mut times = Vec::new();
    for call in calls {
        met.late = met.late.max(call.late);
        if let Some((time, right)) = &call.ended {
            times.push(*time);
            if let Err(wrong) = right {
                met.wrong += 1;
                met.first.get_or_insert_with(|| wrong.clone());
            }
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().max(1) - 1));
    met.calls = times.len();
    met.p50 = at(50).copied().unwrap_or_default();
    met.p99 = at(99).copied().unwrap_or_default();
    met.max = times.last().copied().unwrap_or_default();
    met
}

/// A small request that differs from every other one.
pub fn document(number: u32) -> String {
    format!(
        "<vnml><project><market name=\"m\"><rate>0.03</rate></market><notes>{number}</notes>\
         <group name=\"g\"><valuation name=\"v\"><market select=\"/vnml/project/market[1]\"/>\
         </valuation></group></project></vnml>"
    )
}

/// Its only right response, by the executor `noop`.
fn response(number: u32) -> String {
    format!(
        "<vnml><project><notes>{number}</notes><group name=\"g\"><valuation name=\"noop\"><analytics>\
         <price><amount>101.00</amount></price></analytics><note>no work was done</note>\
         <vndb externalId=\"1\"/></valuation></group></project></vnml>"
    )
}
