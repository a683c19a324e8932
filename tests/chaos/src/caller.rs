//! One caller with one request: submits it until it is accepted, follows it on both APIs, and reads
//! its result.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use crate::documents::{Order, Plan};
use crate::http::{Answer, Outcome};
use crate::ledger::{Record, Try};
use crate::load::Load;
use crate::valuer::REFUSED;

const SUBMIT: Duration = Duration::from_secs(15);
/// How long a synchronous caller waits. It submits again then.
const SYNC: Duration = Duration::from_secs(40);
const READ: Duration = Duration::from_secs(12);
/// The first and the longest pause between tries, where the answer names none.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// The longest pause that an answer may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// The ends of a request.
const ENDS: [&str; 3] = ["succeeded", "failed", "cancelled"];

pub struct Caller {
    load: Arc<Load>,
    order: Order,
    record: Record,
    /// The last sequence that an answer had.
    seen: u64,
}

impl Caller {
    pub fn new(load: Arc<Load>, order: Order) -> Self {
        let began = load.timeline.seconds();
        Self {
            record: Record::new(&order, began),
            load,
            order,
            seen: 0,
        }
    }

    /// Lives through the request, and returns what it saw.
    pub async fn run(mut self) -> Record {
        if let Some(api) = Box::pin(self.submit()).await {
            Box::pin(self.follow(api)).await;
        }
        self.record
    }

    /// Submits until an API has accepted, and returns that API. Gives up at the end of the run.
    async fn submit(&mut self) -> Option<usize> {
        let mut api = self.order.api;
        let mut pause = PAUSES.0;
        while !self.load.is_over() {
            let at = self.load.timeline.seconds();
            let outcome = self.try_submit(api).await;
            let stops = self.take_answer(&outcome);
            self.record.tries.push(Try {
                at,
                api,
                answer: outcome.name(),
                seconds: self.load.timeline.seconds() - at,
                perhaps_stored: !stops && perhaps_stored(&outcome),
            });
            if stops {
                return self.record.id.is_some().then_some(api);
            }
            let asked = match &outcome {
                Outcome::Answer(answer) => answer.retry_after(),
                _ => None,
            };
            tokio::time::sleep(asked.unwrap_or(pause).min(RETRY_AFTER_MAX)).await;
            pause = (pause * 2).min(PAUSES.1);
            api = (api + 1) % self.load.apis.len();
        }
        self.record
            .found("accepted", "it was not accepted until the end".into());
        None
    }

    async fn try_submit(&self, api: usize) -> Outcome {
        let query = if self.order.sync { "?sync=Y" } else { "" };
        let url = format!("{}/valuation{query}", self.load.apis[api]);
        let mut call = self
            .load
            .http
            .post(url)
            .header("content-type", "application/xml")
            .header("x-label-chaos", &self.order.name)
            .body(self.order.document());
        if self.order.keyed {
            call = call.header("idempotency-key", &self.order.name);
        }
        Outcome::of(call, if self.order.sync { SYNC } else { SUBMIT }).await
    }

    /// Takes an answer to a submission. Returns whether it is the last word.
    fn take_answer(&mut self, outcome: &Outcome) -> bool {
        let Outcome::Answer(answer) = outcome else {
            return false;
        };
        let failed = answer.status == StatusCode::INTERNAL_SERVER_ERROR
            && self.order.sync
            && !answer.json()["failure"].is_null();
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED => self.accept(answer),
            _ if failed => self.accept(answer),
            status if status.is_server_error() => return false,
            _ => {
                let text = format!("{}: {}", outcome.name(), start_of(&answer.body));
                self.record.found("accepted", text);
                return true;
            }
        }
        match answer.status {
            StatusCode::OK => {
                self.ended("succeeded");
                self.check_response(&answer.body);
            }
            StatusCode::INTERNAL_SERVER_ERROR => {
                self.ended("failed");
                self.check_failure(answer);
            }
            _ => {}
        }
        true
    }

    fn accept(&mut self, answer: &Answer) {
        self.seen = answer.sequence();
        self.record.id = answer.id();
        self.record.accepted = Some(self.load.timeline.seconds());
        if self.seen == 0 {
            let text = format!("no Fanfold-Sequence in the answer {}", answer.status);
            self.record.found("never-back", text);
        }
        if self.record.id.is_none() {
            let text = format!("no requestId in: {}", start_of(&answer.body));
            self.record.found("accepted", text);
        }
    }

    fn ended(&mut self, end: &str) {
        self.record.end = Some(end.to_owned());
        self.record.ended = Some(self.load.timeline.seconds());
    }

    /// Reads the status, on the other API at once, and then on each by turns until the request has
    /// ended; then reads the result.
    async fn follow(&mut self, submitted_to: usize) {
        let mut api = (submitted_to + 1) % self.load.apis.len();
        // A caller that has nothing but the id of the answer, and then one that sends the sequence.
        self.read_status(api, false).await;
        self.read_status(api, true).await;
        let mut pause = PAUSES.0;
        while self.record.end.is_none() {
            if self.load.is_over() {
                return self
                    .record
                    .found("ended", "it had no end for its caller".into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
            self.read_status(api, true).await;
            api = (api + 1) % self.load.apis.len();
        }
        for api in 0..self.load.apis.len() {
            self.read_results(api).await;
        }
    }

    async fn read(&mut self, api: usize, what: &str, with_sequence: bool) -> Option<Answer> {
        let id = self.record.id.clone()?;
        let url = format!("{}/valuation/{id}/{what}", self.load.apis[api]);
        let mut call = self.load.http.get(url);
        if with_sequence {
            call = call.header("fanfold-sequence", self.seen);
        }
        if self.order.waits && with_sequence && what == "status" {
            call = call.header("prefer", "wait=5");
        }
        let outcome = Outcome::of(call, READ).await;
        let name = outcome.name();
        *self.record.reads.entry(name.clone()).or_default() += 1;
        let Outcome::Answer(answer) = outcome else {
            return None;
        };
        let ended = self.record.end.is_some();
        let not_ready = answer.code() == "not-ready";
        if not_ready && ended {
            let text = format!("{name} for {what} at api {api}, although its end was told");
            self.record.found("never-back", text);
        }
        let unknown = answer.status == StatusCode::NOT_FOUND && !not_ready;
        if unknown || answer.status == StatusCode::GONE {
            let now = self.load.timeline.seconds();
            let after = now - self.record.accepted.unwrap_or(now);
            let with = if with_sequence { "with" } else { "without" };
            let text = format!(
                "{name} for {what} at api {api}, {after:.3} s after it was accepted, {with} its sequence, at {now:.3}"
            );
            self.record.found("no-404", text);
        }
        let sequence = answer.sequence();
        if answer.status == StatusCode::OK {
            if with_sequence && sequence < self.seen {
                let text = format!("api {api} answered {sequence} after {}", self.seen);
                self.record.found("never-back", text);
            }
            self.seen = self.seen.max(sequence);
        }
        Some(answer)
    }

    async fn read_status(&mut self, api: usize, with_sequence: bool) {
        let Some(answer) = self.read(api, "status", with_sequence).await else {
            return;
        };
        let status = answer.json()["status"].as_str().map(str::to_owned);
        let end = status.filter(|status| ENDS.contains(&status.as_str()));
        let end = end.filter(|_| answer.status == StatusCode::OK);
        match (end, self.record.end.clone()) {
            (Some(end), None) => self.ended(&end),
            (Some(end), Some(before)) if end != before => {
                let text = format!("api {api} says {end} after {before}");
                self.record.found("never-back", text);
            }
            _ => {}
        }
    }

    async fn read_results(&mut self, api: usize) {
        loop {
            let answer = self.read(api, "results", true).await;
            match answer {
                Some(answer) if answer.status == StatusCode::OK => {
                    return self.check_response(&answer.body);
                }
                Some(answer) if answer.status == StatusCode::UNPROCESSABLE_ENTITY => {
                    return self.check_failure(&answer);
                }
                // It is noted as what must not be.
                Some(answer) if answer.status == StatusCode::GONE => return,
                _ if self.load.is_over() => {
                    let text = format!("api {api} gave no results until the end");
                    return self.record.found("results", text);
                }
                _ => tokio::time::sleep(PAUSES.0).await,
            }
        }
    }

    fn check_response(&mut self, body: &str) {
        if self.order.plan == Plan::Fails {
            let text = "results of a request that was to fail".into();
            return self.record.found("results", text);
        }
        if let Some(fault) = self.order.fault_of(body) {
            self.record.found("results", fault);
        }
    }

    /// A failure names exactly the task that was to fail, with the executor's own refusal.
    fn check_failure(&mut self, answer: &Answer) {
        let failure = answer.json()["failure"].clone();
        let tasks = failure["tasks"].as_array().cloned().unwrap_or_default();
        let last = |task: &serde_json::Value| {
            let attempts = task["attempts"].as_array().cloned().unwrap_or_default();
            attempts.last().map(|attempt| attempt["code"].clone())
        };
        let planned = self.order.plan == Plan::Fails
            && failure["code"] == "tasks-failed"
            && failure["group"] == self.order.groups - 1
            && tasks.len() == 1
            && tasks[0]["task"] == 1
            && last(&tasks[0]).is_some_and(|code| code == REFUSED);
        if !planned {
            let text = format!("failed: {}", start_of(&failure.to_string()));
            self.record.found("results", text);
        }
    }
}

/// Whether a try may have been stored although its answer does not say so.
fn perhaps_stored(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused => false,
        Outcome::Broken(_) => true,
        // A refusal that may have been stored names the request.
        Outcome::Answer(answer) => answer.status.is_server_error() && answer.id().is_some(),
    }
}

fn start_of(text: &str) -> String {
    text.chars().take(300).collect()
}
