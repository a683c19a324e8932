//! The settings: flags over environment over file over defaults, each parsed once.

mod definition;
mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use domain::request::Rules;

use crate::task_types::TaskTypes;

pub use definition::{Definition, Source};
pub use error::SettingsError;

/// By how much the log outlives a request at the least: its time-out is taken in while it is there.
pub const LOG_OUTLIVES: Duration = Duration::from_mins(1);
/// The HTTP implementation reads a head in no smaller pieces.
const HEADER_MIN_BYTES: usize = 8_192;

/// The layers of values, before they are parsed.
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Layers {
    fn get<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, SettingsError> {
        let (value, source) = self
            .values
            .get(name)
            .cloned()
            .unwrap_or_else(|| (String::new(), Source::Default));
        value.parse().map_err(|error: T::Err| SettingsError::Value {
            name: name.to_owned(),
            value,
            source_name: source,
            reason: error.to_string(),
        })
    }
}

macro_rules! settings {
    ($($(#[secret $secret:tt])? $field:ident: $kind:ty = $name:literal, $default:literal, $about:literal;)+) => {
        /// The effective settings of a process.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $(#[doc = $about] pub $field: $kind,)+
            /// The task types, from the file.
            pub task_types: TaskTypes,
            origins: BTreeMap<&'static str, (String, Source)>,
        }

        const DEFINITIONS: &[Definition] = &[
            $(Definition {
                name: $name,
                default: $default,
                about: $about,
                secret: false $(|| $secret)?,
            },)+
        ];

        impl Settings {
            fn parse(layers: Layers, task_types: TaskTypes) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($field: layers.get($name)?,)+
                    task_types,
                    origins: layers.values,
                })
            }
        }
    };
}

settings! {
    enable_http: bool = "ENABLE_HTTP", "true", "Whether the API listens on HTTP: true or false.";
    http_host: String = "HTTP_HOST", "127.0.0.1", "The address the API listens on.";
    http_port: u16 = "HTTP_PORT", "8080", "The port the API listens on; 0 takes a free one.";
    #[secret true] nats_url: String = "NATS_URL", "", "Where NATS is; several servers with commas. Unset, `up` starts its own.";
    #[secret true] redis_url: String = "REDIS_URL", "", "Where Redis is; several nodes of a cluster with commas. Unset, `up` starts its own.";
    data_dir: String = "DATA_DIR", ".fanfold", "Where `up` keeps the data of its own servers.";
    nats_port: u16 = "NATS_PORT", "14222", "The loopback port of the NATS server that `up` starts.";
    redis_port: u16 = "REDIS_PORT", "16379", "The loopback port of the Redis server that `up` starts.";
    nats_sync_interval: String = "NATS_SYNC_INTERVAL", "always", "When the NATS server that `up` starts syncs to disk: always, or an interval such as 100ms.";
    payload_max_bytes: usize = "PAYLOAD_MAX_BYTES", "10485760", "The largest document accepted, in bytes; 268435456 at the most.";
    result_max_bytes: usize = "RESULT_MAX_BYTES", "10485760", "The largest result of a task that is taken, in bytes; 268435456 at the most. The same for every role.";
    sync_wait_timeout_ms: u64 = "SYNC_WAIT_TIMEOUT_MS", "120000", "How long a synchronous submission waits for its result, in milliseconds.";
    sync_waiters_max: usize = "SYNC_WAITERS_MAX", "10000", "How many callers wait for an answer at once; more get 503.";
    event_streams_max: usize = "EVENT_STREAMS_MAX", "1000", "How many event streams are followed at once; more get 503.";
    backlog_max: u64 = "BACKLOG_MAX", "5000", "How many commits and reports may wait for the orchestrator; from half of it on some submissions get 503, above it all.";
    submissions_max: usize = "SUBMISSIONS_MAX", "1000", "How many submissions are taken in at once; more get 503.";
    tasks_max_bytes: i64 = "TASKS_MAX_BYTES", "536870912", "How many bytes of waiting tasks the broker keeps in memory; beyond it tasks wait in the log.";
    tasks_waiting_max: u64 = "TASKS_WAITING_MAX", "100000", "How many tasks may wait for workers; from half of it on some submissions get 503, above it all.";
    http_header_max_bytes: usize = "HTTP_HEADER_MAX_BYTES", "65536", "The largest head of an HTTP request, in bytes; at least 8192.";
    http_idle_timeout_ms: u64 = "HTTP_IDLE_TIMEOUT_MS", "75000", "How long an HTTP connection may be idle, in milliseconds; longer than a balancer in front of it, whose 60 s are usual, keeps one.";
    http_head_timeout_ms: u64 = "HTTP_HEAD_TIMEOUT_MS", "10000", "How long the head of an HTTP request may take from its first byte on, in milliseconds.";
    http_write_timeout_ms: u64 = "HTTP_WRITE_TIMEOUT_MS", "30000", "How long a peer may take nothing of an answer before it is cut off, in milliseconds.";
    http_bodies_max_bytes: usize = "HTTP_BODIES_MAX_BYTES", "268435456", "How many bytes the bodies of all requests under way may have; more get 503. Never less than `PAYLOAD_MAX_BYTES`.";
    http_connections_max: usize = "HTTP_CONNECTIONS_MAX", "10000", "How many HTTP connections there may be, as far as the limit of open files allows.";
    http_body_timeout_ms: u64 = "HTTP_BODY_TIMEOUT_MS", "30000", "How long an HTTP request's body may take to arrive, in milliseconds.";
    sse_heartbeat_ms: u64 = "SSE_HEARTBEAT_MS", "15000", "How often a silent event stream shows a sign of life, in milliseconds.";
    drain_delay_ms: u64 = "DRAIN_DELAY_MS", "500", "How long the API still takes connections in after /readyz has turned, in milliseconds.";
    request_ttl_seconds: u64 = "REQUEST_TTL_SECONDS", "86400", "How long an ended request can be read, in seconds.";
    request_timeout_ms: u64 = "REQUEST_TIMEOUT_MS", "86400000", "How long a request may take in all, in milliseconds.";
    group_timeout_ms: u64 = "GROUP_TIMEOUT_MS", "900000", "How long a group may take, in milliseconds.";
    fail_fast: bool = "FAIL_FAST", "false", "Whether the first task given up ends its request: true or false.";
    max_task_attempts: u32 = "MAX_TASK_ATTEMPTS", "3", "Attempts of a task in all, where its type does not say.";
    task_timeout_ms: u64 = "TASK_TIMEOUT_MS", "60000", "How long an attempt may take, in milliseconds, where its type does not say.";
    task_lease_ms: u64 = "TASK_LEASE_MS", "30000", "How long a worker holds a task without a sign of life, in milliseconds.";
    retry_delay_ms: u64 = "RETRY_DELAY_MS", "500", "Delay before the second attempt, in milliseconds, where the type does not say.";
    long_delay_ms: u64 = "LONG_DELAY_MS", "30000", "A delay longer than this, in milliseconds, is kept by a timer and not by the work queue.";
    worker_concurrency: usize = "WORKER_CONCURRENCY", "64", "Tasks of one type a worker runs at once.";
    worker_name: String = "WORKER_NAME", "", "The name of this worker in the history; unset, one is made.";
    executor: String = "EXECUTOR", "reference", "What runs tasks of the type `default`: reference, echo, noop, `command:PROGRAM ARGS…`, or an http:// URL.";
    shards: u8 = "SHARDS", "1", "How many streams the log is spread over, from 1 to 64. Fixed once there is data.";
    replicas: usize = "REPLICAS", "1", "How many NATS servers keep each stream.";
    log_max_age_seconds: u64 = "LOG_MAX_AGE_SECONDS", "604800", "How long the log is kept, in seconds.";
    takeover_after_ms: u64 = "TAKEOVER_AFTER_MS", "5000", "After how long without a sign of life another instance takes over, in milliseconds.";
    ack_wait_ms: u64 = "ACK_WAIT_MS", "10000", "How long the orchestrator and the projector hold a message without a sign of life before it is delivered again, in milliseconds.";
    shutdown_grace_ms: u64 = "SHUTDOWN_GRACE_MS", "10000", "How long a role may take to drain, in milliseconds.";
    health_port: u16 = "HEALTH_PORT", "0", "The port on which a role other than the API answers /healthz and /readyz; 0 for none.";
    #[secret true] webhook_secret: String = "WEBHOOK_SECRET", "", "The key that webhooks are signed with, whsec_ and base64; unset, none are sent.";
    webhook_url: String = "WEBHOOK_URL", "", "Where the end of a request is told whose submission has no x-callback.";
    webhook_allow_private: bool = "WEBHOOK_ALLOW_PRIVATE", "false", "Whether webhooks may go to plain http and to private addresses: true or false.";
    webhook_attempts: u32 = "WEBHOOK_ATTEMPTS", "8", "Attempts of a webhook in all.";
    webhook_retry_delay_ms: u64 = "WEBHOOK_RETRY_DELAY_MS", "5000", "Delay before the second attempt of a webhook, in milliseconds; each is four times the one before.";
    href_allow: String = "HREF_ALLOW", "", "What documents may refer to by href, with commas between: `s3://bucket/prefix`, `file:///root`, `https://host/path`. Unset, nothing.";
    href_timeout_ms: u64 = "HREF_TIMEOUT_MS", "10000", "How long fetching one href may take, in milliseconds.";
    href_max_bytes: usize = "HREF_MAX_BYTES", "10485760", "The largest document an href may bring, in bytes, also once decompressed.";
    href_total_max_bytes: u64 = "HREF_TOTAL_MAX_BYTES", "67108864", "The most bytes that all hrefs of a request may bring.";
    href_max_count: usize = "HREF_MAX_COUNT", "100", "The most hrefs of a request that are fetched.";
    href_attempts: u32 = "HREF_ATTEMPTS", "6", "Attempts to fetch an href in all, where trying again may help.";
    href_private_addresses: bool = "HREF_PRIVATE_ADDRESSES", "false", "Whether https hosts of `HREF_ALLOW` may have loopback, private or link-local addresses: true or false.";
    href_plain_http: bool = "HREF_PLAIN_HTTP", "false", "Whether `HREF_ALLOW` may have `http://` hosts, which is for tests: true or false.";
    s3_endpoint: String = "S3_ENDPOINT", "", "Where `s3://` buckets are; unset, Amazon's endpoint of the region.";
    s3_region: String = "S3_REGION", "us-east-1", "The region that `s3://` buckets are in.";
    s3_access_key_id: String = "S3_ACCESS_KEY_ID", "", "The key with which `s3://` objects are asked for; unset, without one.";
    #[secret true] s3_secret_access_key: String = "S3_SECRET_ACCESS_KEY", "", "The secret of `S3_ACCESS_KEY_ID`.";
    #[secret true] s3_session_token: String = "S3_SESSION_TOKEN", "", "The session token of `S3_ACCESS_KEY_ID`, where it has one.";
    log_format: String = "LOG_FORMAT", "text", "The form of the logs: text or json.";
    log_filter: String = "RUST_LOG", "info,async_nats=warn", "What is logged, in the syntax of tracing's filters.";
}

impl Settings {
    /// Every setting there is, in the order in which they are documented.
    #[must_use]
    pub fn definitions() -> &'static [Definition] {
        DEFINITIONS
    }

    /// Parses the settings from a file (where one is named), the environment and the flags that
    /// were given, by the names of their definitions.
    pub fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let mut table = file.map(read).transpose()?.unwrap_or_default();
        let task_types = table.remove("task-types");
        let mut values = BTreeMap::new();
        for definition in DEFINITIONS {
            let name = definition.name;
            let in_file = table.remove(&definition.key());
            let value = flags(name)
                .map(|value| (value, Source::Flag))
                .or_else(|| {
                    let set = environment(name).filter(|value| !value.is_empty());
                    set.map(|value| (value, Source::Environment))
                })
                .or_else(|| in_file.map(|value| (text(&value), Source::File)))
                .unwrap_or_else(|| (definition.default.to_owned(), Source::Default));
            values.insert(name, value);
        }
        if let Some((unknown, _)) = table.into_iter().next() {
            return Err(file_error(file, format!("there is no setting '{unknown}'")));
        }
        let mut settings = Self::parse(Layers { values }, TaskTypes::default())?;
        settings.task_types =
            TaskTypes::read(task_types, &settings).map_err(|reason| file_error(file, reason))?;
        settings.check()?;
        Ok(settings)
    }

    /// The setting's value as it was given, and by whom.
    #[must_use]
    pub fn origin(&self, definition: &Definition) -> (&str, Source) {
        let (value, source) = &self.origins[definition.name];
        (value, *source)
    }

    /// The rules that every request is under.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            group_timeout: Duration::from_millis(self.group_timeout_ms),
            fail_fast: self.fail_fast,
        }
    }

    /// Whether somebody said where NATS is; otherwise `up` starts its own.
    #[must_use]
    pub fn nats_is_given(&self) -> bool {
        self.origins
            .get("NATS_URL")
            .is_some_and(|(url, _)| !url.is_empty())
    }

    fn check(&self) -> Result<(), SettingsError> {
        let positive = [
            ("SUBMISSIONS_MAX", self.submissions_max as u64),
            ("RESULT_MAX_BYTES", self.result_max_bytes as u64),
            ("MAX_TASK_ATTEMPTS", u64::from(self.max_task_attempts)),
            ("WORKER_CONCURRENCY", self.worker_concurrency as u64),
            ("TASK_TIMEOUT_MS", self.task_timeout_ms),
            ("TASK_LEASE_MS", self.task_lease_ms),
            ("ACK_WAIT_MS", self.ack_wait_ms),
            ("TAKEOVER_AFTER_MS", self.takeover_after_ms),
            ("GROUP_TIMEOUT_MS", self.group_timeout_ms),
            ("REQUEST_TIMEOUT_MS", self.request_timeout_ms),
            ("HTTP_IDLE_TIMEOUT_MS", self.http_idle_timeout_ms),
            ("HTTP_BODY_TIMEOUT_MS", self.http_body_timeout_ms),
            ("HTTP_HEAD_TIMEOUT_MS", self.http_head_timeout_ms),
            ("HTTP_WRITE_TIMEOUT_MS", self.http_write_timeout_ms),
            ("HTTP_CONNECTIONS_MAX", self.http_connections_max as u64),
            ("SSE_HEARTBEAT_MS", self.sse_heartbeat_ms),
            ("HREF_TIMEOUT_MS", self.href_timeout_ms),
            ("HREF_ATTEMPTS", u64::from(self.href_attempts)),
            ("SHARDS", u64::from(self.shards)),
            ("REPLICAS", self.replicas as u64),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(self.wrong(name, "it must be at least 1"));
            }
        }
        // What the log has lost can neither go on nor be told apart from what never was.
        let log_age = self.log_max_age_seconds;
        let log_age_ms = log_age.saturating_mul(1_000);
        let outlives = LOG_OUTLIVES.as_secs();
        if log_age > 0 && self.request_timeout_ms.saturating_add(outlives * 1_000) > log_age_ms {
            let reason = format!(
                "it must be {outlives} s shorter than LOG_MAX_AGE_SECONDS, {log_age} s, and by more \
                 where what failed is to be redriven"
            );
            return Err(self.wrong("REQUEST_TIMEOUT_MS", reason));
        }
        if log_age > 0 && self.request_ttl_seconds > log_age {
            let reason = format!("it must not be longer than LOG_MAX_AGE_SECONDS, {log_age} s");
            return Err(self.wrong("REQUEST_TTL_SECONDS", reason));
        }
        let most = nats::STORED_MAX_BYTES;
        for (name, bytes) in [
            ("PAYLOAD_MAX_BYTES", self.payload_max_bytes),
            ("RESULT_MAX_BYTES", self.result_max_bytes),
        ] {
            if bytes > most {
                return Err(self.wrong(name, format!("it must be at most {most}")));
            }
        }
        if self.shards > domain::request::PARTITIONS {
            return Err(self.wrong("SHARDS", "it must be at most 64"));
        }
        if self.http_header_max_bytes < HEADER_MIN_BYTES {
            return Err(self.wrong("HTTP_HEADER_MAX_BYTES", "it must be at least 8192"));
        }
        if !matches!(self.log_format.as_str(), "text" | "json") {
            return Err(self.wrong("LOG_FORMAT", "it must be text or json"));
        }
        Ok(())
    }

    /// The error that a setting's value cannot be used, for a reason its type does not know.
    #[must_use]
    pub fn wrong(&self, name: &str, reason: impl Into<String>) -> SettingsError {
        let (value, source_name) = self
            .origins
            .get(name)
            .cloned()
            .unwrap_or_else(|| (String::new(), Source::Default));
        SettingsError::Value {
            name: name.to_owned(),
            value,
            source_name,
            reason: reason.into(),
        }
    }
}

fn file_error(file: Option<&Path>, reason: String) -> SettingsError {
    SettingsError::File {
        path: file.map_or_else(String::new, |path| path.display().to_string()),
        reason,
    }
}

fn read(path: &Path) -> Result<toml::Table, SettingsError> {
    std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| {
            text.parse()
                .map_err(|error: toml::de::Error| error.to_string())
        })
        .map_err(|reason| file_error(Some(path), reason))
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
