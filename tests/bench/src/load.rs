//! Callers: closed-loop, where each sends its next request as soon as it has its answer, or at a
//! rate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::canonical;
use tokio::task::JoinSet;

use crate::http::Caller;
use crate::workload::Workload;

/// The submitted document, and its only right answer.
#[derive(Clone)]
pub struct Expect {
    pub document: String,
    pub response: String,
}

impl Expect {
    pub fn of(workload: &Workload) -> Self {
        Self {
            document: workload.document(),
            response: workload.response(),
        }
    }

    /// Checks an answer. A wrong answer ends the bench, because a figure for wrong answers is
    /// worthless.
    fn check(&self, answer: &crate::http::Answer) {
        let body = std::str::from_utf8(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{body}");
        if body != self.response {
            assert_eq!(canonical(body), canonical(&self.response), "a wrong answer");
        }
    }
}

/// Runs this many callers for this long. Returns the time of each answered request, at least one
/// for each caller.
pub async fn closed(
    address: &str,
    expect: &Expect,
    callers: usize,
    length: Duration,
) -> Vec<Duration> {
    let mut running = JoinSet::new();
    let end = Instant::now() + length;
    for _ in 0..callers {
        let (address, expect) = (address.to_owned(), expect.clone());
        running.spawn(async move {
            let mut caller = Caller::connect(&address).await;
            let mut times = Vec::new();
            while Instant::now() < end || times.is_empty() {
                let begun = Instant::now();
                let answer = caller.submit(&expect.document, true).await;
                times.push(begun.elapsed());
                expect.check(&answer);
            }
            times
        });
    }
    let mut all = Vec::new();
    while let Some(times) = running.join_next().await {
        all.extend(times.unwrap());
    }
    all
}

/// Submits at a rate, without waiting for the ends. Returns the time of each 202 after all requests
/// have ended.
pub async fn at_rate(address: &str, expect: &Expect, rate: f64, length: Duration) -> Vec<Duration> {
    const CONNECTIONS: u32 = 16;
    let mut running = JoinSet::new();
    let begun = Instant::now();
    let every = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    for connection in 0..CONNECTIONS {
        let (address, expect) = (address.to_owned(), expect.clone());
        running.spawn(async move {
            let mut caller = Caller::connect(&address).await;
            let mut due = begun + every.mul_f64(f64::from(connection) / f64::from(CONNECTIONS));
            let (mut times, mut last) = (Vec::new(), String::new());
            while due < begun + length {
                tokio::time::sleep_until(due.into()).await;
                let answer = caller.submit(&expect.document, false).await;
                // Measure from the due time, so that a delayed caller does not hide its delay.
                times.push(due.elapsed());
                assert_eq!(answer.status, 202);
                let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                body["requestId"].as_str().unwrap().clone_into(&mut last);
                due += every;
            }
            until_succeeded(&mut caller, &last).await;
            times
        });
    }
    let mut all = Vec::new();
    while let Some(times) = running.join_next().await {
        all.extend(times.unwrap());
    }
    all
}

/// The answers that callers have received recently.
#[derive(Default)]
pub struct Heard {
    pub answered: Vec<Duration>,
    /// The number of 503 answers.
    pub refused: u64,
}

/// Submits at a rate, whatever the answers, over enough connections that few submissions are late
/// because of the callers. Each answer is passed on as it comes. An answer other than 503 must be
/// right.
pub async fn open(
    address: &str,
    expect: &Expect,
    rate: f64,
    length: Duration,
    wait: bool,
    heard: Arc<Mutex<Heard>>,
) {
    // Far more than the API admits at once: the program must refuse submissions, not its caller.
    const CONNECTIONS: u32 = 4_096;
    let mut running = JoinSet::new();
    let begun = Instant::now();
    let every = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    for connection in 0..CONNECTIONS {
        let (address, expect, heard) = (address.to_owned(), expect.clone(), heard.clone());
        running.spawn(async move {
            let mut caller = Caller::connect(&address).await;
            let mut due = begun + every.mul_f64(f64::from(connection) / f64::from(CONNECTIONS));
            while due < begun + length {
                tokio::time::sleep_until(due.into()).await;
                let answer = caller.submit(&expect.document, wait).await;
                let took = due.elapsed();
                if answer.status == 503 {
                    heard.lock().unwrap().refused += 1;
                } else {
                    if wait {
                        expect.check(&answer);
                    } else {
                        assert_eq!(answer.status, 202);
                    }
                    heard.lock().unwrap().answered.push(took);
                }
                due += every;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

async fn until_succeeded(caller: &mut Caller, id: &str) {
    let begun = Instant::now();
    loop {
        let answer = caller.get(&format!("/valuation/{id}/status")).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        if body["status"] == "succeeded" {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The quantile of these times at this share, in milliseconds.
pub fn quantile(times: &mut [Duration], share: f64) -> f64 {
    if times.is_empty() {
        return 0.0;
    }
    times.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let index = ((times.len() as f64 * share) as usize).min(times.len() - 1);
    times[index].as_secs_f64() * 1_000.0
}
