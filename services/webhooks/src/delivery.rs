use std::time::Duration;

use domain::request::{Event, RequestId};
use jiff::Timestamp;
use nats::{DeadLetters, Delivery, Error, Log};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::address::{self, Refused};
use crate::signature::Secret;

/// The header of a submission that names where its end is told.
const CALLBACK: &str = "x-callback";
/// How long a delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause before a delivery is tried again.
const RETRY_LONGEST: Duration = Duration::from_hours(1);
/// By how much each pause is longer than the one before.
const RETRY_FACTOR: u32 = 4;
/// The pause before an event is looked at again that could not be looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What deliveries are made with.
pub struct Desk {
    pub log: Log,
    pub dead_letters: DeadLetters,
    pub secret: Secret,
    /// Where an end is told whose submission names no callback; empty for nowhere.
    pub default_url: String,
    pub allow_private: bool,
    pub attempts: u32,
    pub retry_delay: Duration,
}

/// Why a delivery did not come to pass.
enum Failure {
    /// It may at another time.
    Transient(String),
    /// It never will.
    Permanent(String),
}

impl Desk {
    /// Delivers an event of the feed, and answers for it.
    pub async fn take(&self, event: &Delivery) {
        let answered = match self.callback(event).await {
            Ok(None) => event.ack().await,
            Ok(Some(url)) => self.deliver(event, &url).await,
            Err(error) => {
                tracing::warn!(%error, "a webhook is looked at again");
                event.nak(LOOK_AGAIN).await
            }
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an event could not be answered for; it comes again");
        }
    }

    /// Where the end of this request is told.
    async fn callback(&self, event: &Delivery) -> Result<Option<String>, Error> {
        let request = event.subject().rsplit('.').next();
        let Some(request) = request.and_then(|id| id.parse::<RequestId>().ok()) else {
            return Ok(None);
        };
        let commits = self.log.read(request, 0).await?;
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

    async fn deliver(&self, event: &Delivery, url: &str) -> Result<(), Error> {
        let (_, _, attempt) = event.place()?;
        let id = event.header("ce-id").unwrap_or_default();
        let reason = match self.post(event, url).await {
            Ok(()) => {
                tracing::info!(id, attempt, "webhook delivered");
                return event.ack().await;
            }
            Err(Failure::Transient(reason)) if attempt < self.attempts => {
                let pause = self.pause_after(attempt);
                tracing::info!(id, attempt, reason, ?pause, "webhook is tried again");
                return event.nak(pause).await;
            }
            Err(Failure::Transient(reason) | Failure::Permanent(reason)) => reason,
        };
        tracing::warn!(id, attempt, reason, "webhook is given up");
        let why = Error::Refused(format!(
            "the webhook was not taken after {attempt} attempts: {reason}"
        ));
        self.dead_letters.set_aside(event, &why).await?;
        event.terminate().await
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
        // A client for each: it may connect to nothing but what was checked.
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
            // The receiver says that it wants no more.
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

/// What is told: the event as Standard Webhooks writes it.
fn body(event: &Delivery) -> Result<String, String> {
    let data: Value = serde_json::from_slice(event.body()).map_err(|error| error.to_string())?;
    let told = json!({
        "type": event.header("ce-type"),
        "timestamp": event.header("ce-time"),
        "data": data,
    });
    Ok(told.to_string())
}
