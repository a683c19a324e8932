use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use domain::access::Tenant;
use domain::request::{Event, RequestId, Sequence, TraceState};
use jiff::Timestamp;
use nats::{DeadLetters, Delivery, Error, Log, Postponed, Quarantine, Verdict};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use runtime::{Tenants, caught};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::address::{self, Refused};
use crate::receivers::Receivers;
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
    pub postponed: Postponed,
    pub receivers: Receivers,
    /// Events that may have ended the process that delivered them.
    pub suspects: Quarantine,
    /// How long an event may be held without a sign of life.
    pub ack_wait: Duration,
    /// The key of each tenant. Nothing is sent for a tenant without one.
    pub secrets: HashMap<Tenant, Secret>,
    /// The callback URL for submissions of the tenant `default` that name none; empty means no
    /// callback.
    pub default_url: String,
    /// What the file says of each tenant.
    pub tenants: Tenants,
    pub allow_private: bool,
    pub attempts: u32,
    pub retry_delay: Duration,
    pub counted: metrics::Webhooks,
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
    /// Redeliver the event after this pause, which is short: the event keeps its place meanwhile.
    Again(Duration),
    /// The event comes again after this pause, and this many attempts were made of it.
    Postponed(Duration, u32),
    /// The event is kept as a dead letter and must never be redelivered.
    Never,
}

/// The receiver of the end of a request.
enum Callback {
    /// Nobody.
    None,
    /// This URL, with the tracestate of the submitter.
    To(String, Option<TraceState>),
    /// Nobody knows any more.
    Unknown,
}

impl Sender {
    /// Delivers an event of the feed and answers its message.
    pub async fn take(&self, event: &Delivery) {
        let Ok(place) = event.place() else {
            return;
        };
        let what = if Postponed::is_due(event) {
            format!("due-{}", place.sequence)
        } else {
            place.sequence.to_string()
        };
        let working = pin!(self.answered(event, &what, place.delivered > 1));
        let answer = self.with_signs_of_life(event, working).await;
        let answered = match answer {
            Ok(Answer::Done | Answer::Postponed(..)) => event.ack().await,
            Ok(Answer::Again(pause)) => self.again(event, &what, pause).await,
            Ok(Answer::Never) => event.terminate().await,
            Err(error) => {
                tracing::warn!(%error, "the event of a webhook will be processed again");
                self.again(event, &what, LOOK_AGAIN).await
            }
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an event could not be answered for; it comes again");
        }
    }

    /// Processes an event, and stores it if it is postponed.
    async fn answered(&self, event: &Delivery, what: &str, again: bool) -> Result<Answer, Error> {
        let answer = self.answer(event, what, again).await?;
        if let Answer::Postponed(pause, attempts) = answer {
            self.postponed.add(event, attempts, pause).await?;
        }
        Ok(answer)
    }

    async fn again(&self, event: &Delivery, what: &str, pause: Duration) -> Result<(), Error> {
        self.suspects.survived(what, 0);
        event.nak(pause).await
    }

    async fn give_up(&self, event: &Delivery, reason: String) -> Result<Answer, Error> {
        tracing::warn!(subject = event.subject(), reason, "a webhook is given up");
        let reason = Error::Refused(reason);
        self.dead_letters.set_aside(event, &reason).await?;
        self.counted.given_up.inc();
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

    /// Processes an event. If the event may have ended a process before, this happens under a mark.
    async fn answer(&self, event: &Delivery, what: &str, again: bool) -> Result<Answer, Error> {
        if !self.suspects.is_suspect(what, again) {
            return self.watched(event, what).await;
        }
        let begun = self.suspects.begin(what, event.request()).await?;
        let is_tried = begun.verdict == Verdict::Try;
        let answer = if is_tried {
            self.watched(event, what).await
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

    async fn watched(&self, event: &Delivery, what: &str) -> Result<Answer, Error> {
        let panic = match caught(self.told(event)).await {
            Ok(answer) => {
                if answer.is_ok() {
                    self.suspects.done(what);
                }
                return answer;
            }
            Err(panic) => panic,
        };
        tracing::error!(what, panic, "delivering a webhook panicked");
        if !self.suspects.panicked(what) {
            return Ok(Answer::Again(LOOK_AGAIN));
        }
        self.suspects.done(what);
        let reason = format!("delivering it panicked: {panic}");
        self.give_up(event, reason).await
    }

    async fn told(&self, event: &Delivery) -> Result<Answer, Error> {
        runtime::strike("webhooks", event.body());
        let Some(request) = event.request() else {
            return Ok(Answer::Done);
        };
        let tenant = event.tenant();
        let Some(secret) = self.secrets.get(&tenant) else {
            return Ok(Answer::Done);
        };
        match self.callback(&tenant, request).await? {
            Callback::None => Ok(Answer::Done),
            Callback::To(url, state) => {
                let to = (url.as_str(), state.as_ref());
                self.deliver(event, (&tenant, secret), to).await
            }
            Callback::Unknown => {
                let reason = "the log of the request has expired, and the receiver with it";
                self.give_up(event, reason.to_owned()).await
            }
        }
    }

    /// The receiver of the end of this request. The submission, which names it, is in the first
    /// commit. A replica that lags may not have that commit yet, so its absence counts only if the
    /// leader confirms it.
    async fn callback(&self, tenant: &Tenant, request: RequestId) -> Result<Callback, Error> {
        let first = self.log.read_page(request, Sequence::NONE, 1).await?;
        let mut events = first.commits.iter().flat_map(|commit| &commit.events);
        let received = events.find_map(|event| match event {
            Event::Received(received) => Some(received),
            _ => None,
        });
        let Some(received) = received else {
            return if self.log.last_sequence(request).await? == Sequence::NONE {
                Ok(Callback::Unknown)
            } else if first.commits.is_empty() {
                let lags = "the replica that answered does not have the request yet";
                Err(Error::Unavailable(lags.to_owned()))
            } else {
                Ok(Callback::Unknown)
            };
        };
        let named = received.metadata.get(CALLBACK).cloned();
        let fallback = match self.tenants.get(tenant) {
            Some(own) if !tenant.is_default() => own.webhook_url.expose_secret().to_owned(),
            None if !tenant.is_default() => String::new(),
            _ => self.default_url.clone(),
        };
        let fallback = Some(fallback).filter(|url| !url.is_empty());
        let url = named.or(fallback);
        let state = || received.tracestate.clone();
        Ok(url.map_or(Callback::None, |url| Callback::To(url, state())))
    }

    async fn deliver(
        &self,
        event: &Delivery,
        (tenant, secret): (&Tenant, &Secret),
        (url, state): (&str, Option<&TraceState>),
    ) -> Result<Answer, Error> {
        let made = Postponed::attempts(event);
        let id = event.header("ce-id").unwrap_or_default();
        let host = authority(url);
        let most = self.tenants.quotas(tenant).webhooks;
        let place = match self.receivers.enter(&host, (tenant, most)) {
            Ok(place) => place,
            Err(pause) => {
                self.counted.busy.inc();
                tracing::debug!(id, host, ?pause, "the receiver of a webhook is busy");
                return Ok(Answer::Postponed(pause, made));
            }
        };
        let attempt = made.saturating_add(1);
        let begun = Instant::now();
        let posted = self.post(event, secret, (url, state)).await;
        self.counted.took.took(begun.elapsed());
        place.taken(!matches!(posted, Err(Failure::Transient(_))));
        let reason = match posted {
            Ok(()) => {
                self.counted.delivered.inc();
                tracing::info!(id, attempt, "delivered a webhook");
                return Ok(Answer::Done);
            }
            Err(Failure::Transient(reason)) if attempt < self.attempts => {
                self.counted.again.inc();
                let pause = self.pause_after(attempt);
                tracing::info!(id, attempt, reason, ?pause, "a webhook will be tried again");
                return Ok(Answer::Postponed(pause, attempt));
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

    async fn post(
        &self,
        event: &Delivery,
        secret: &Secret,
        (url, state): (&str, Option<&TraceState>),
    ) -> Result<(), Failure> {
        let resolved = address::resolve(url, self.allow_private).await;
        let (url, addresses) = resolved.map_err(|refused| match refused {
            Refused::Url(..) => Failure::Permanent(refused.to_string()),
            Refused::Lookup(..) => Failure::Transient(refused.to_string()),
        })?;
        let host = url.host_str().unwrap_or_default();
        // Each call has its own client, which can connect only to the checked addresses.
        let mut client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DELIVERY_TIMEOUT)
            .resolve_to_addrs(host, &addresses);
        if url.scheme() == "http" {
            // No certificate is ever checked, so a system without certificates is no obstacle.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| {
            let causes =
                std::iter::successors(std::error::Error::source(&error), |error| error.source());
            let no_client = "there is no client for it".to_owned();
            Failure::Transient(causes.fold(no_client, |said, cause| format!("{said}: {cause}")))
        })?;
        let body = body(event).map_err(Failure::Permanent)?;
        let id = event.header("ce-id").unwrap_or_default();
        let now = Timestamp::now().as_second();
        let mut call = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", secret.sign(id, now, &body))
            .body(body);
        if let Some(traceparent) = event.traceparent() {
            call = call.header("traceparent", traceparent.as_str());
        }
        if let Some(state) = state {
            call = call.header("tracestate", state.as_str());
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

/// The host and the port of a receiver.
fn authority(url: &str) -> String {
    let url = Url::parse(url).ok();
    let parts = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default())));
    parts.map_or_else(String::new, |(host, port)| {
        format!("{host}:{}", port.unwrap_or_default())
    })
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
