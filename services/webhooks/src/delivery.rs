use std::pin::{Pin, pin};
use std::time::Duration;

use domain::request::{Event, RequestId, Sequence};
use jiff::Timestamp;
use nats::{DeadLetters, Delivery, Error, Log, Quarantine, Verdict};
use reqwest::Client;
use reqwest::redirect::Policy;
use runtime::caught;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::address::{self, Refused};
use crate::signature::Secret;

/// The submission header that names the callback URL.
const CALLBACK: &str = "x-callback";
/// The timeout of one delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause before a delivery is retried.
const RETRY_LONGEST: Duration = Duration::from_hours(1);
/// The factor by which each pause is longer than the one before.
const RETRY_FACTOR: u32 = 4;
/// The pause before a retry of an event that could not be processed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many signs of life a delivery in progress sends within the consumer's ack wait.
const SIGNS_OF_LIFE: u32 = 3;

/// Everything that deliveries need.
pub struct Sender {
    pub log: Log,
    pub dead_letters: DeadLetters,
    /// Events that may have ended the process that delivered them.
    pub suspects: Quarantine,
    /// How long an event may be held without a sign of life.
    pub ack_wait: Duration,
    pub secret: Secret,
    /// The callback URL for submissions that name none; empty means no callback.
    pub default_url: String,
    pub allow_private: bool,
    pub attempts: u32,
    pub retry_delay: Duration,
}

/// Why a delivery failed.
enum Failure {
    /// A retry may succeed.
    Transient(String),
    /// No retry can succeed.
    Permanent(String),
}

/// How to answer the message of an event.
enum Answer {
    /// The event is done.
    Done,
    /// Redeliver the event after this pause.
    Again(Duration),
    /// The event is kept as a dead letter and must never be redelivered.
    Never,
}

impl Sender {
    /// Delivers an event of the feed and answers its message.
    pub async fn take(&self, event: &Delivery, room: OwnedSemaphorePermit) {
        let Ok(place) = event.place() else {
            return;
        };
        let sequence = place.sequence;
        let working = pin!(self.answer(event, sequence, place.delivered > 1, room));
        let answer = self.with_signs_of_life(event, working).await;
        let answered = match answer {
            Ok(Answer::Done) => event.ack().await,
            Ok(Answer::Again(pause)) => self.again(event, sequence, pause).await,
            Ok(Answer::Never) => event.terminate().await,
            Err(error) => {
                tracing::warn!(%error, "the event of a webhook will be processed again");
                self.again(event, sequence, LOOK_AGAIN).await
            }
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an event could not be answered for; it comes again");
        }
    }

    async fn again(&self, event: &Delivery, sequence: u64, pause: Duration) -> Result<(), Error> {
        self.suspects.survived(sequence, 0);
        event.nak(pause).await
    }

    async fn give_up(&self, event: &Delivery, reason: String) -> Result<Answer, Error> {
        tracing::warn!(subject = event.subject(), reason, "a webhook is given up");
        let reason = Error::Refused(reason);
        self.dead_letters.set_aside(event, &reason).await?;
        Ok(Answer::Never)
    }

    async fn with_signs_of_life<T>(
        &self,
        event: &Delivery,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        loop {
            let every = self.ack_wait / SIGNS_OF_LIFE;
            match tokio::time::timeout(every, &mut work).await {
                Ok(done) => return done,
                Err(_) => {
                    if let Err(error) = event.in_progress().await {
                        tracing::debug!(%error, "could not extend the ack wait of a webhook");
                    }
                }
            }
        }
    }

    /// Processes an event. If the event may have ended a process before, this happens under a mark,
    /// and without a place among the concurrent deliveries.
    async fn answer(
        &self,
        event: &Delivery,
        sequence: u64,
        again: bool,
        room: OwnedSemaphorePermit,
    ) -> Result<Answer, Error> {
        if !self.suspects.is_suspect(sequence, again) {
            return self.watched(event, sequence).await;
        }
        drop(room);
        let begun = self.suspects.begin(sequence, event.request()).await?;
        let is_tried = begun.verdict == Verdict::Try;
        let answer = if is_tried {
            self.watched(event, sequence).await
        } else {
            let times = begun.lost;
            let reason = format!(
                "delivering it was begun {times} times by processes that ended before it did"
            );
            self.give_up(event, reason).await
        };
        if is_tried || answer.is_ok() {
            self.suspects.end(begun).await;
        } else {
            self.suspects.leave(begun).await;
        }
        answer
    }

    async fn watched(&self, event: &Delivery, sequence: u64) -> Result<Answer, Error> {
        let panic = match caught(self.told(event)).await {
            Ok(answer) => {
                if answer.is_ok() {
                    self.suspects.done(sequence);
                }
                return answer;
            }
            Err(panic) => panic,
        };
        tracing::error!(sequence, panic, "delivering a webhook panicked");
        if !self.suspects.panicked(sequence) {
            return Ok(Answer::Again(LOOK_AGAIN));
        }
        self.suspects.done(sequence);
        let reason = format!("delivering it panicked: {panic}");
        self.give_up(event, reason).await
    }

    async fn told(&self, event: &Delivery) -> Result<Answer, Error> {
        runtime::strike("webhooks", event.body());
        match self.callback(event).await? {
            None => Ok(Answer::Done),
            Some(url) => self.deliver(event, &url).await,
        }
    }

    /// The callback URL for the end of this request.
    async fn callback(&self, event: &Delivery) -> Result<Option<String>, Error> {
        let request = event.subject().rsplit('.').next();
        let Some(request) = request.and_then(|id| id.parse::<RequestId>().ok()) else {
            return Ok(None);
        };
        let commits = self.log.read(request, Sequence::NONE).await?;
        let named =
            commits
                .iter()
                .flat_map(|commit| &commit.events)
                .find_map(|event| match event {
                    Event::Received(received) => received.metadata.get(CALLBACK).cloned(),
                    _ => None,
                });
        let fallback = Some(self.default_url.clone()).filter(|url| !url.is_empty());
        Ok(named.or(fallback))
    }

    async fn deliver(&self, event: &Delivery, url: &str) -> Result<Answer, Error> {
        let attempt = event.place()?.delivered;
        let id = event.header("ce-id").unwrap_or_default();
        let reason = match self.post(event, url).await {
            Ok(()) => {
                tracing::info!(id, attempt, "delivered a webhook");
                return Ok(Answer::Done);
            }
            Err(Failure::Transient(reason)) if attempt < self.attempts => {
                let pause = self.pause_after(attempt);
                tracing::info!(id, attempt, reason, ?pause, "a webhook will be tried again");
                return Ok(Answer::Again(pause));
            }
            Err(Failure::Transient(reason) | Failure::Permanent(reason)) => reason,
        };
        let reason = format!("the webhook was not taken after {attempt} attempts: {reason}");
        self.give_up(event, reason).await
    }

    fn pause_after(&self, attempt: u32) -> Duration {
        let factor = RETRY_FACTOR.saturating_pow(attempt.saturating_sub(1));
        self.retry_delay.saturating_mul(factor).min(RETRY_LONGEST)
    }

    async fn post(&self, event: &Delivery, url: &str) -> Result<(), Failure> {
        let resolved = address::resolve(url, self.allow_private).await;
        let (url, addresses) = resolved.map_err(|refused| match refused {
            Refused::Url(..) => Failure::Permanent(refused.to_string()),
            Refused::Lookup(..) => Failure::Transient(refused.to_string()),
        })?;
        let host = url.host_str().unwrap_or_default();
        // Each call has its own client, which can connect only to the checked addresses.
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DELIVERY_TIMEOUT)
            .resolve_to_addrs(host, &addresses)
            .build()
            .map_err(|error| Failure::Transient(error.to_string()))?;
        let body = body(event).map_err(Failure::Permanent)?;
        let id = event.header("ce-id").unwrap_or_default();
        let now = Timestamp::now().as_second();
        let mut call = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", self.secret.sign(id, now, &body))
            .body(body);
        if let Some(traceparent) = event.traceparent() {
            call = call.header("traceparent", traceparent.as_str());
        }
        match call.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            // The receiver says that it wants no more events.
            Ok(answer) if answer.status().as_u16() == 410 => {
                Err(Failure::Permanent("it answered 410".to_owned()))
            }
            Ok(answer) => Err(Failure::Transient(format!(
                "it answered {}",
                answer.status()
            ))),
            Err(error) => Err(Failure::Transient(error.to_string())),
        }
    }
}

/// The body: the event in the format of Standard Webhooks.
fn body(event: &Delivery) -> Result<String, String> {
    let data: Value = serde_json::from_slice(event.body()).map_err(|error| error.to_string())?;
    let told = json!({
        "type": event.header("ce-type"),
        "timestamp": event.header("ce-time"),
        "data": data,
    });
    Ok(told.to_string())
}
