//! A service as an executor: the task document is posted to it, the result is the body it answers.

mod reply;
mod retry_after;

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use runtime::shown_urls;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::config::{MASK, max_result_bytes, secrets};
use super::{ConfigError, Fault, Task};

pub use retry_after::MAX_RETRY_AFTER;

/// Headers that say what the task is, or how the message is framed: not for configuring.
const OURS: [&str; 7] = [
    "idempotency-key",
    "traceparent",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// How long a connection is kept that is idle. Many services close theirs after a few seconds,
/// and a task that is posted just then breaks off.
const KEPT_IDLE: Duration = Duration::from_secs(1);

/// A connection that is closed so soon after a task was posted was closed for another reason.
const CLOSED_WITHIN: Duration = Duration::from_millis(100);

/// A service and how it is called.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpConfig {
    /// Where task documents are posted: `http` or `https`, without a user or password.
    #[serde(serialize_with = "shown_url")]
    pub url: String,
    /// Headers sent along, which may be secret.
    #[serde(default, serialize_with = "secrets::masked")]
    pub headers: secrets::Secrets,
    /// How long connecting may take, in milliseconds; the attempt's time limit holds besides.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Whether the beginning of an answer that is no success, and the details of a broken exchange,
    /// become causes, which every caller who may read the request can see.
    #[serde(default)]
    pub tell_answers: bool,
    /// The most bytes of its result, if the limit is below that of all results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_result_bytes: Option<usize>,
}

impl std::fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConfig")
            .field("url", &shown_urls(&self.url))
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

fn default_connect_timeout_ms() -> u64 {
    5_000
}

/// Posts each attempt to a service, over connections that are kept open.
pub struct Http {
    client: Client,
    /// One that opens a connection for every call.
    fresh: Client,
    url: Url,
    tell_answers: bool,
    max_result_bytes: usize,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = shown_urls(self.url.as_str());
        f.debug_struct("Http")
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(config: &HttpConfig, limit: usize) -> Result<Self, ConfigError> {
        if config.connect_timeout_ms == 0 {
            let reason = "must be at least 1";
            return Err(ConfigError::new("connect-timeout-ms", 0, reason));
        }
        let url = url(&config.url)?;
        // The first call chooses the provider for the whole process. If another call was first, its
        // provider serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = headers(config)?;
        let client = |kept: usize| {
            let mut client = Client::builder()
                .default_headers(headers.clone())
                .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
                .pool_idle_timeout(KEPT_IDLE)
                .pool_max_idle_per_host(kept)
                // A redirect would carry a task and its credentials to a host nobody configured,
                // and so would a proxy found in the environment.
                .redirect(Policy::none())
                .no_proxy();
            if url.scheme() == "http" {
                // No certificate is ever checked, so a system without certificates is no obstacle.
                client = client.tls_certs_only([]);
            }
            client.build().map_err(|error| {
                let reason = format!("no client can be made for it: {}", chain(&error));
                ConfigError::new("url", shown_urls(url.as_str()), reason)
            })
        };
        Ok(Self {
            client: client(usize::MAX)?,
            fresh: client(0)?,
            url,
            tell_answers: config.tell_answers,
            max_result_bytes: max_result_bytes(config.max_result_bytes, limit)?,
        })
    }

    pub(super) async fn execute(
        &self,
        task: &Task,
        time_limit: Duration,
        cancelled: &CancellationToken,
    ) -> Result<Bytes, Fault> {
        // Dropping the exchange closes its connection, which cancels the call at the service.
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(Fault::cancelled()),
            result = self.exchange(task) => result,
            () = tokio::time::sleep(time_limit) => Err(Fault::timed_out(time_limit)),
        }
    }

    async fn exchange(&self, task: &Task) -> Result<Bytes, Fault> {
        let Task {
            request_id,
            group,
            task: number,
            ..
        } = task;
        let mut call = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/xml; charset=utf-8")
            .header("fanfold-request-id", request_id)
            .header("fanfold-task-type", &task.task_type)
            .header("fanfold-group", group.get())
            .header("fanfold-task", number.get())
            .header("fanfold-attempt", task.attempt.get())
            .header("idempotency-key", format!("{request_id}/{group}/{number}"))
            .body(task.document.clone());
        if let Some(traceparent) = &task.traceparent {
            call = call.header("traceparent", traceparent);
        }
        let call = call
            .build()
            .map_err(|error| reply::broken(error, self.tell_answers))?;
        let (begun, again) = (Instant::now(), call.try_clone());
        let mut response = self.client.execute(call).await;
        // A service may close a connection that was kept just as it is used again. That says
        // nothing of the task, and is no attempt at it.
        if let (Err(error), Some(again)) = (&response, again)
            && is_closed(error)
            && begun.elapsed() < CLOSED_WITHIN
        {
            response = self.fresh.execute(again).await;
        }
        let response = response.map_err(|error| reply::broken(error, self.tell_answers))?;
        reply::taken(response, self.max_result_bytes, self.tell_answers).await
    }
}

/// Whether the connection was closed before an answer began.
fn is_closed(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// Shows a URL without its user, password and query.
fn shown_url<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_urls(url))
}

fn url(text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|error| {
        ConfigError::new("url", shown_urls(text), format!("not a URL: {error}"))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        let reason = "a user and password belong into a header, where they are masked";
        return Err(ConfigError::new("url", MASK, reason));
    }
    if !matches!(url.scheme(), "http" | "https") {
        let reason = "only http and https are spoken";
        return Err(ConfigError::new("url", shown_urls(text), reason));
    }
    Ok(url)
}

fn headers(config: &HttpConfig) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::with_capacity(config.headers.len() + 1);
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/xml, text/xml"),
    );
    for (name, value) in &config.headers {
        let refused = |reason: &str| ConfigError::new(format!("headers.{name}"), MASK, reason);
        let parsed = HeaderName::try_from(name).map_err(|_| refused("not a header's name"))?;
        if OURS.contains(&parsed.as_str()) || parsed.as_str().starts_with("fanfold-") {
            return Err(refused("set by the worker"));
        }
        let value = value.read().map_err(|reason| refused(&reason))?;
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| refused("not a header's value"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// An error with all that lies behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |error| error.source());
    behind.fold(error.to_string(), |line, error| format!("{line}: {error}"))
}

#[cfg(test)]
mod tests;
