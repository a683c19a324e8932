//! The settings: flags over environment over file over defaults, each parsed once.

mod definition;
mod error;
mod log_format;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use domain::request::Rules;

use crate::task_types::TaskTypes;

use value::{Bytes, Flag, Millis, Positive, Seconds, Setting, Unless, Whole};

pub use definition::{Definition, Part, Source};
pub use error::SettingsError;
pub use log_format::LogFormat;

/// How much longer than a request's timeout the log must live, so that the orchestrator can still
/// take in the timeout.
pub const LOG_OUTLIVES: Duration = Duration::from_mins(1);
/// The smallest buffer in which the HTTP implementation reads a request head, in bytes.
const HEADER_MIN_BYTES: usize = 8_192;

/// Settings of earlier versions, with their replacements.
const REMOVED: [(&str, &str); 1] = [(
    "HEALTH_PORT",
    "set ADMIN_PORT: the admin listener answers /healthz, /readyz and /metrics",
)];

/// The layers of values, before they are parsed.
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Layers {
    /// Parses a value as its type and converts it into its field.
    fn get<T, F>(&self, name: &str) -> Result<F, SettingsError>
    where
        T: FromStr<Err: fmt::Display> + Setting<F>,
    {
        let (value, source) = self
            .values
            .get(name)
            .cloned()
            .unwrap_or_else(|| (String::new(), Source::Default));
        let read = value.parse().map_err(|error: T::Err| error.to_string());
        let field = read.and_then(|read: T| read.into_field().map_err(|error| error.to_string()));
        field.map_err(|reason| SettingsError::Value {
            name: name.to_owned(),
            value,
            source_name: source,
            reason,
        })
    }
}

macro_rules! settings {
    ($($part:ident {
        $($(#[secret $secret:tt])? $field:ident: $kind:ty as $read:ty = $name:literal, $default:literal, $about:literal;)+
    })+) => {
        /// The effective settings of a process.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $about] pub $field: $kind,)+)+
            /// The task types, from the file.
            pub task_types: TaskTypes,
            origins: BTreeMap<&'static str, (String, Source)>,
        }

        const DEFINITIONS: &[Definition] = &[
            $($(Definition {
                part: Part::$part,
                name: $name,
                default: $default,
                about: $about,
                secret: false $(|| $secret)?,
            },)+)+
        ];

        impl Settings {
            fn parse(layers: Layers, task_types: TaskTypes) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($($field: layers.get::<$read, $kind>($name)?,)+)+
                    task_types,
                    origins: layers.values,
                })
            }
        }
    };
}

settings! {
    Connections {
        #[secret true] nats_url: String as String = "NATS_URL", "", "URLs of the NATS servers, separated by commas. Unset: `up` starts its own server, and tools look for it.";
        #[secret true] redis_url: String as String = "REDIS_URL", "", "URLs of Redis, or of the nodes of a Redis Cluster, separated by commas. Unset: `up` starts its own server, and tools look for it.";
        data_dir: String as String = "DATA_DIR", ".fanfold", "Folder in which `up` keeps the data of its own servers.";
        nats_port: u16 as Whole<u16> = "NATS_PORT", "14222", "Loopback port of the NATS server that `up` starts.";
        redis_port: u16 as Whole<u16> = "REDIS_PORT", "16379", "Loopback port of the Redis server that `up` starts.";
        nats_sync_interval: String as String = "NATS_SYNC_INTERVAL", "always", "How often the NATS server that `up` starts syncs to disk: `always`, or an interval such as 100ms. A power cut loses what was not synced.";
    }
    Deployment {
        shards: u8 as Positive<Whole<u8>> = "SHARDS", "1", "Number of streams that the log is spread over, 1 to 64. It cannot change once there is data.";
        replicas: usize as Positive<Whole<usize>> = "REPLICAS", "1", "Number of NATS servers that keep each stream.";
        log_max_age: Duration as Seconds = "LOG_MAX_AGE_SECONDS", "7d", "How long the log is kept. 0 keeps it forever.";
        request_ttl: Duration as Seconds = "REQUEST_TTL_SECONDS", "1d", "How long an ended request can be read over HTTP.";
        request_timeout: Duration as Positive<Millis> = "REQUEST_TIMEOUT_MS", "1d", "Timeout of a request.";
        group_timeout: Duration as Positive<Millis> = "GROUP_TIMEOUT_MS", "15m", "Timeout of a group.";
        fail_fast: bool as Flag = "FAIL_FAST", "false", "Whether a request fails as soon as one of its tasks is given up.";
        task_lease: Duration as Positive<Millis> = "TASK_LEASE_MS", "30s", "How long a worker keeps a task without sending a sign of life.";
        ack_wait: Duration as Positive<Millis> = "ACK_WAIT_MS", "10s", "How long the orchestrator and the projector keep a message without sending a sign of life before the broker delivers it again.";
        takeover_after: Duration as Positive<Millis> = "TAKEOVER_AFTER_MS", "5s", "How long an instance may be silent before another instance takes over.";
        tasks_max_bytes: i64 as Bytes = "TASKS_MAX_BYTES", "512 MiB", "Memory that the broker may use for waiting tasks. Above it, tasks wait in the log.";
        result_max_bytes: usize as Positive<Bytes> = "RESULT_MAX_BYTES", "10 MiB", "Size of the largest result of a task; at most 256 MiB.";
    }
    Api {
        enable_http: bool as Flag = "ENABLE_HTTP", "true", "Whether the API listens on HTTP.";
        http_host: IpAddr as IpAddr = "HTTP_HOST", "127.0.0.1", "IP address that the API listens on.";
        http_port: u16 as Whole<u16> = "HTTP_PORT", "8080", "Port that the API listens on. 0 picks a free port.";
        payload_max_bytes: usize as Bytes = "PAYLOAD_MAX_BYTES", "10 MiB", "Size of the largest document that is accepted; at most 256 MiB.";
        sync_wait_timeout: Duration as Millis = "SYNC_WAIT_TIMEOUT_MS", "2m", "How long a synchronous submission waits for its result.";
        sync_waiters_max: usize as Whole<usize> = "SYNC_WAITERS_MAX", "10000", "Number of callers that may wait for an answer at once. Further callers get 503.";
        event_streams_max: usize as Whole<usize> = "EVENT_STREAMS_MAX", "1000", "Number of event streams that may be open at once. Further callers get 503.";
        backlog_max: u64 as Whole<u64> = "BACKLOG_MAX", "5000", "Number of commits and reports that may wait for the orchestrator. Above half of it, a growing share of submissions gets 503; above all of it, every submission does.";
        tasks_waiting_max: u64 as Whole<u64> = "TASKS_WAITING_MAX", "100000", "Number of tasks that may wait for workers. Above half of it, a growing share of submissions gets 503; above all of it, every submission does.";
        submissions_max: usize as Positive<Whole<usize>> = "SUBMISSIONS_MAX", "1000", "Number of submissions that may be on their way into the log at once. Further submissions get 503.";
        http_connections_max: usize as Positive<Whole<usize>> = "HTTP_CONNECTIONS_MAX", "10000", "Number of open HTTP connections, as far as the limit of open files allows.";
        http_bodies_max_bytes: usize as Bytes = "HTTP_BODIES_MAX_BYTES", "256 MiB", "Memory for the bodies of all requests in progress. Further requests get 503. It is never less than `PAYLOAD_MAX_BYTES`.";
        http_header_max_bytes: usize as Bytes = "HTTP_HEADER_MAX_BYTES", "64 KiB", "Size of the largest head of an HTTP request; at least 8 KiB.";
        http_idle_timeout: Duration as Positive<Millis> = "HTTP_IDLE_TIMEOUT_MS", "75s", "How long an HTTP connection may be idle. Keep it above the idle timeout of a load balancer in front, which is usually 60s.";
        http_head_timeout: Duration as Positive<Millis> = "HTTP_HEAD_TIMEOUT_MS", "10s", "How long the head of an HTTP request may take from its first byte.";
        http_body_timeout: Duration as Positive<Millis> = "HTTP_BODY_TIMEOUT_MS", "30s", "How long the body of an HTTP request may take.";
        http_write_timeout: Duration as Positive<Millis> = "HTTP_WRITE_TIMEOUT_MS", "30s", "How long a caller may read nothing of its answer before the connection is closed.";
        sse_heartbeat: Duration as Positive<Millis> = "SSE_HEARTBEAT_MS", "15s", "Interval of heartbeats on a silent event stream.";
        drain_delay: Duration as Millis = "DRAIN_DELAY_MS", "500ms", "How long the API accepts connections after `/readyz` has turned to 503.";
    }
    Worker {
        executor: String as String = "EXECUTOR", "reference", "Executor of the task type `default`: `reference`, `echo`, `noop`, `command:PROGRAM ARGS…`, or an `http://` URL.";
        worker_concurrency: usize as Positive<Whole<usize>> = "WORKER_CONCURRENCY", "64", "Number of tasks of one type that a worker runs at once.";
        worker_name: String as String = "WORKER_NAME", "", "Name of this worker in the history. Unset: a name is generated.";
        max_task_attempts: u32 as Positive<Whole<u32>> = "MAX_TASK_ATTEMPTS", "3", "Number of attempts of a task, unless its type says otherwise.";
        task_timeout: Duration as Positive<Millis> = "TASK_TIMEOUT_MS", "1m", "Timeout of an attempt, unless its type says otherwise.";
        retry_delay: Duration as Millis = "RETRY_DELAY_MS", "500ms", "Delay before the second attempt, unless its type says otherwise.";
        long_delay: Duration as Millis = "LONG_DELAY_MS", "30s", "Delays longer than this are kept by a timer instead of the task queue.";
    }
    References {
        href_allow: String as String = "HREF_ALLOW", "", "Places that documents may refer to by `href`, separated by commas: `s3://bucket/prefix`, `file:///root`, `https://host/path`. Unset: no place.";
        href_timeout: Duration as Positive<Millis> = "HREF_TIMEOUT_MS", "10s", "Timeout of one fetch.";
        href_max_bytes: usize as Bytes = "HREF_MAX_BYTES", "10 MiB", "Size of the largest fetched document, after decompression.";
        href_total_max_bytes: u64 as Bytes = "HREF_TOTAL_MAX_BYTES", "64 MiB", "Size of all documents that are fetched for one request.";
        href_max_count: usize as Whole<usize> = "HREF_MAX_COUNT", "100", "Number of documents that are fetched for one request.";
        href_attempts: u32 as Positive<Whole<u32>> = "HREF_ATTEMPTS", "6", "Number of attempts of a fetch, where another attempt may help.";
        href_private_addresses: bool as Flag = "HREF_PRIVATE_ADDRESSES", "false", "Whether the https hosts of `HREF_ALLOW` may have loopback, private or link-local addresses.";
        href_plain_http: bool as Flag = "HREF_PLAIN_HTTP", "false", "Whether `HREF_ALLOW` may have `http://` hosts. Use it in tests only.";
        s3_endpoint: String as String = "S3_ENDPOINT", "", "Endpoint of `s3://` buckets. Unset: Amazon's endpoint of the region.";
        s3_region: String as String = "S3_REGION", "us-east-1", "Region of `s3://` buckets.";
        s3_access_key_id: String as String = "S3_ACCESS_KEY_ID", "", "Access key for `s3://` objects. Unset: requests are not signed.";
        #[secret true] s3_secret_access_key: String as String = "S3_SECRET_ACCESS_KEY", "", "Secret of `S3_ACCESS_KEY_ID`.";
        #[secret true] s3_session_token: String as String = "S3_SESSION_TOKEN", "", "Session token of `S3_ACCESS_KEY_ID`.";
    }
    Webhooks {
        #[secret true] webhook_secret: String as String = "WEBHOOK_SECRET", "", "Key that signs webhooks: `whsec_` and base64. Unset: no webhooks are sent, and the API refuses callbacks.";
        webhook_url: String as String = "WEBHOOK_URL", "", "Webhook URL of requests that were submitted without an `x-callback` header.";
        webhook_allow_private: bool as Flag = "WEBHOOK_ALLOW_PRIVATE", "false", "Whether webhooks may go to plain http and to private addresses.";
        webhook_attempts: u32 as Whole<u32> = "WEBHOOK_ATTEMPTS", "8", "Number of attempts of a webhook.";
        webhook_retry_delay: Duration as Millis = "WEBHOOK_RETRY_DELAY_MS", "5s", "Delay before the second attempt of a webhook. Each further delay is four times the one before.";
    }
    Process {
        shutdown_grace: Duration as Millis = "SHUTDOWN_GRACE_MS", "10s", "How long a role may take to finish its work after SIGTERM.";
        admin_host: IpAddr as IpAddr = "ADMIN_HOST", "127.0.0.1", "IP address of the admin listener, which answers `/healthz`, `/readyz` and `/metrics`.";
        admin_port: Option<u16> as Unless<Whole<u16>> = "ADMIN_PORT", "", "Port of the admin listener; 0 picks a free port. Unset: `up` takes 8081, or a free port if that is taken; a single role has no admin listener.";
        log_format: LogFormat as LogFormat = "LOG_FORMAT", "text", "Format of the logs: `text` or `json`.";
        log_filter: String as String = "RUST_LOG", "info,async_nats=warn", "Filter of the logs, in the syntax of `tracing`.";
    }
}

impl Settings {
    /// All settings, in the order in which they are documented.
    #[must_use]
    pub fn definitions() -> &'static [Definition] {
        DEFINITIONS
    }

    /// Parses the settings from the file, if one is named, the environment and the flags. All three
    /// are looked up by the names of the definitions.
    pub fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let mut table = file.map(read).transpose()?.unwrap_or_default();
        let task_types = table.remove("task-types");
        let mut values = BTreeMap::new();
        for (name, instead) in REMOVED {
            let set = environment(name).is_some_and(|value| !value.is_empty());
            if set || table.contains_key(&name.to_lowercase()) {
                let reason = format!("{name} was removed: {instead}");
                return Err(SettingsError::Removed { reason });
            }
        }
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

    /// The value of a setting as it was given, and its source.
    #[must_use]
    pub fn origin(&self, definition: &Definition) -> (&str, Source) {
        let (value, source) = &self.origins[definition.name];
        (value, *source)
    }

    /// The rules for every request.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            group_timeout: self.group_timeout,
            fail_fast: self.fail_fast,
        }
    }

    /// Whether the operator set the address of NATS; otherwise `up` starts its own server.
    #[must_use]
    pub fn nats_is_given(&self) -> bool {
        self.origins
            .get("NATS_URL")
            .is_some_and(|(url, _)| !url.is_empty())
    }

    fn check(&self) -> Result<(), SettingsError> {
        // A request that the log has lost cannot go on, and looks as if it had never existed.
        let (log_age, outlives) = (self.log_max_age, LOG_OUTLIVES);
        if !log_age.is_zero() && self.request_timeout.saturating_add(outlives) > log_age {
            let reason = format!(
                "it must be at least {outlives:?} shorter than LOG_MAX_AGE_SECONDS ({log_age:?}), \
                 and more where failed requests are to be redriven"
            );
            return Err(self.wrong("REQUEST_TIMEOUT_MS", reason));
        }
        if !log_age.is_zero() && self.request_ttl > log_age {
            let reason = format!("it must not be longer than LOG_MAX_AGE_SECONDS ({log_age:?})");
            return Err(self.wrong("REQUEST_TTL_SECONDS", reason));
        }
        let most = nats::STORED_MAX_BYTES;
        for (name, bytes) in [
            ("PAYLOAD_MAX_BYTES", self.payload_max_bytes),
            ("RESULT_MAX_BYTES", self.result_max_bytes),
        ] {
            if bytes > most {
                let most = most >> 20;
                return Err(self.wrong(name, format!("it must be at most {most} MiB")));
            }
        }
        if self.shards > domain::request::PARTITIONS {
            return Err(self.wrong("SHARDS", "it must be at most 64"));
        }
        if self.http_header_max_bytes < HEADER_MIN_BYTES {
            return Err(self.wrong("HTTP_HEADER_MAX_BYTES", "it must be at least 8 KiB"));
        }
        Ok(())
    }

    /// The error for a setting whose value is unusable for a reason that its type cannot know.
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
