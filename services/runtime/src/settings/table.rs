//! The table of all settings and limits.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::auth_mode::AuthMode;
use super::aws::Aws;
use super::definition::{Definition, Part, Secrecy, canonical};
use super::error::SettingsError;
use super::layers::Layers;
use super::log_format::LogFormat;
use super::metadata_headers::MetadataHeaders;
use super::secret::Secret;
use super::tenants::Tenants;
use super::topology_mode::TopologyMode;
use super::value::{Bytes, Flag, Millis, Positive, Seconds, Unless, Whole};
use crate::task_types::TaskTypes;

settings! {
    /// The addresses of the servers.
    connections: ConnectionsConfig for Connections {
        #[secret Url] nats_url: Option<SecretString> as Unless<Secret> = "NATS_URL", "", "URLs of the NATS servers, separated by commas. Unset: `up` starts its own server, and tools look for it.";
        #[secret Url] redis_url: Option<SecretString> as Unless<Secret> = "REDIS_URL", "", "URLs of Redis, or of the nodes of a Redis Cluster, separated by commas. Unset: `up` starts its own server, and tools look for it.";
        nats_user: String as String = "NATS_USER", "", "User at NATS, with `NATS_PASSWORD`.";
        #[secret Secret] nats_password: Option<SecretString> as Unless<Secret> = "NATS_PASSWORD", "", "Password of `NATS_USER`.";
        #[secret Secret] nats_token: Option<SecretString> as Unless<Secret> = "NATS_TOKEN", "", "Token at NATS.";
        #[secret Secret] nats_nkey: Option<SecretString> as Unless<Secret> = "NATS_NKEY", "", "Seed of the key that signs the greeting of NATS (`SU…`).";
        #[secret Secret] nats_creds: Option<SecretString> as Unless<Secret> = "NATS_CREDS", "", "Content of a `.creds` file, as `nsc` writes it; `NATS_CREDS_FILE` names the file.";
        nats_ca: String as String = "NATS_CA", "", "File with the certificates of the authorities that Fanfold trusts for NATS. Unset: those that the system trusts.";
        nats_cert: String as String = "NATS_CERT", "", "File with the client certificate for NATS, with `NATS_KEY`.";
        nats_key: String as String = "NATS_KEY", "", "File with the key of `NATS_CERT`.";
        nats_tls_first: bool as Flag = "NATS_TLS_FIRST", "false", "Whether the handshake of TLS comes before the greeting of NATS, as `handshake_first` of the server wants it.";
        nats_domain: String as String = "NATS_DOMAIN", "", "Domain of JetStream, where the server that Fanfold connects to is a leaf node of it.";
        nats_inbox_prefix: String as String = "NATS_INBOX_PREFIX", "", "Prefix of the subjects on which this process receives answers. Unset: `_INBOX_` and the role, such as `_INBOX_api`.";
        topology: TopologyMode as TopologyMode = "TOPOLOGY", "apply", "Whether a role creates the streams and consumers that are missing (`apply`), or only checks them (`check`) after `fanfold topology apply` has created them.";
        redis_user: String as String = "REDIS_USER", "", "User of Redis's access list, with `REDIS_PASSWORD`. Unset: the default user.";
        #[secret Secret] redis_password: Option<SecretString> as Unless<Secret> = "REDIS_PASSWORD", "", "Password at Redis.";
        redis_ca: String as String = "REDIS_CA", "", "File with the certificates of the authorities that Fanfold trusts for Redis (`rediss://`). Unset: those that the system trusts.";
        redis_cert: String as String = "REDIS_CERT", "", "File with the client certificate for Redis, with `REDIS_KEY`.";
        redis_key: String as String = "REDIS_KEY", "", "File with the key of `REDIS_CERT`.";
        redis_prefix: String as String = "REDIS_PREFIX", "", "What stands in front of every key in Redis, so that several installations can share a server.";
        data_dir: String as String = "DATA_DIR", ".fanfold", "Folder in which `up` keeps the data of its own servers.";
        nats_sync_interval: String as String = "NATS_SYNC_INTERVAL", "always", "How often the NATS server that `up` starts syncs to disk: `always`, or an interval such as 100ms. A power cut loses what was not synced.";
    }
    limits {
        nats_port: u16 as Whole<u16> = "NATS_PORT", "14222", "Loopback port of the NATS server that `up` starts; where it is taken, a free port.";
        redis_port: u16 as Whole<u16> = "REDIS_PORT", "16379", "Loopback port of the Redis server that `up` starts; where it is taken, a free port.";
    }
    /// The facts that all roles of a deployment share.
    deployment: Deployment for Deployment {
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
    limits {
        verify_requests_per_hour: u32 as Whole<u32> = "VERIFY_REQUESTS_PER_HOUR", "3600", "Number of requests that a projector compares with the log in an hour, in each shard, to mend views and the feed.";
    }
    /// The configuration of the HTTP API.
    api: ApiConfig for Api {
        enable_http: bool as Flag = "ENABLE_HTTP", "true", "Whether the API listens on HTTP.";
        http_host: IpAddr as IpAddr = "HTTP_HOST", "127.0.0.1", "IP address that the API listens on.";
        http_port: u16 as Whole<u16> = "HTTP_PORT", "8080", "Port that the API listens on. 0 picks a free port.";
        payload_max_bytes: usize as Bytes = "PAYLOAD_MAX_BYTES", "10 MiB", "Size of the largest document that is accepted; at most 256 MiB.";
        http_tls_cert: String as String = "HTTP_TLS_CERT", "", "File with the certificates of the API and the admin listener, which then speak TLS alone. It is read again when it changes.";
        http_tls_key: String as String = "HTTP_TLS_KEY", "", "File with the key of `HTTP_TLS_CERT`.";
        http_client_ca: String as String = "HTTP_CLIENT_CA", "", "File with the certificates of the authorities whose clients are known by their own certificates.";
        metadata_headers: MetadataHeaders as MetadataHeaders = "METADATA_HEADERS", "x-desk,x-trader,x-tag,x-request-id,x-correlation-id,x-label-*", "Headers of a submission that stay with the request as its metadata, separated by commas: names that begin with `x-`, or the beginning of such a name and `*`. Known credentials are never kept.";
        sync_wait_timeout: Duration as Millis = "SYNC_WAIT_TIMEOUT_MS", "2m", "How long a synchronous submission waits for its result.";
        backlog_max: u64 as Whole<u64> = "BACKLOG_MAX", "5000", "Number of commits and reports that may wait for the orchestrator. Above half of it, a growing share of submissions gets 503; above all of it, every submission does.";
        http_connections_max: usize as Positive<Whole<usize>> = "HTTP_CONNECTIONS_MAX", "10000", "Number of open HTTP connections, as far as the limit of open files allows.";
        http_idle_timeout: Duration as Positive<Millis> = "HTTP_IDLE_TIMEOUT_MS", "75s", "How long an HTTP connection may be idle. Keep it above the idle timeout of a load balancer in front, which is usually 60s.";
        drain_delay: Duration as Millis = "DRAIN_DELAY_MS", "500ms", "How long the API accepts connections after `/readyz` has turned to 503.";
    }
    limits {
        http_bodies_max_bytes: usize as Bytes = "HTTP_BODIES_MAX_BYTES", "256 MiB", "Memory for the bodies of all requests in progress. Further requests get 503. It is never less than `PAYLOAD_MAX_BYTES`.";
        http_header_max_bytes: usize as Bytes = "HTTP_HEADER_MAX_BYTES", "64 KiB", "Size of the largest head of an HTTP request.";
        http_head_timeout: Duration as Positive<Millis> = "HTTP_HEAD_TIMEOUT_MS", "10s", "How long the head of an HTTP request may take from its first byte.";
        http_body_timeout: Duration as Positive<Millis> = "HTTP_BODY_TIMEOUT_MS", "30s", "How long the body of an HTTP request may take.";
        http_write_timeout: Duration as Positive<Millis> = "HTTP_WRITE_TIMEOUT_MS", "30s", "How long a caller may read nothing of its answer before the connection is closed.";
        tls_handshake_timeout: Duration as Positive<Millis> = "TLS_HANDSHAKE_TIMEOUT_MS", "10s", "How long the TLS handshake of a caller may take.";
        tls_handshakes_max: usize as Positive<Whole<usize>> = "TLS_HANDSHAKES_MAX", "256", "Number of TLS handshakes at once; further ones wait within their time limit.";
        metadata_count_max: usize as Whole<usize> = "METADATA_COUNT_MAX", "32", "Number of headers that a request keeps as its metadata.";
        metadata_value_max_bytes: usize as Bytes = "METADATA_VALUE_MAX_BYTES", "1 KiB", "Size of a value of metadata.";
        sse_heartbeat: Duration as Positive<Millis> = "SSE_HEARTBEAT_MS", "15s", "Interval of heartbeats on a silent event stream.";
        sync_waiters_max: usize as Whole<usize> = "SYNC_WAITERS_MAX", "10000", "Number of callers that may wait for an answer at once. Further callers get 503.";
        event_streams_max: usize as Whole<usize> = "EVENT_STREAMS_MAX", "1000", "Number of event streams that may be open at once. Further callers get 503.";
        submissions_max: usize as Positive<Whole<usize>> = "SUBMISSIONS_MAX", "1000", "Number of submissions that may be on their way into the log at once. Further submissions get 503.";
        tasks_waiting_max: u64 as Whole<u64> = "TASKS_WAITING_MAX", "100000", "Number of tasks that may wait for workers. Above half of it, a growing share of submissions gets 503; above all of it, every submission does.";
    }
    /// Who may call, and how callers prove who they are.
    callers: CallersConfig for Callers {
        auth: AuthMode as AuthMode = "AUTH", "", "`none`: callers are not told apart, and each may do everything, also from other machines. Unset: as the next settings say; where none of them is set, the listeners are on loopback only.";
        auth_keys_file: String as String = "AUTH_KEYS_FILE", "", "File with the keys of callers, one a line, as `fanfold keys new` prints them. It is read again when it changes.";
        #[secret Url] auth_issuer: String as String = "AUTH_ISSUER", "", "URL of the issuer whose JWTs prove who a caller is. Needs `AUTH_AUDIENCE`.";
        #[secret Url] auth_jwks_url: String as String = "AUTH_JWKS_URL", "", "URL of the issuer's keys. Unset: where the issuer's `/.well-known/openid-configuration` says.";
        auth_audience: String as String = "AUTH_AUDIENCE", "", "Audience that a JWT must name.";
        auth_grants_claim: String as String = "AUTH_GRANTS_CLAIM", "permissions", "Claim of a JWT that lists the caller's roles, each as `tenant:role`.";
        allowed_hosts: String as String = "ALLOWED_HOSTS", "", "Names of this server that a browser may have in its address line, separated by commas. Names of loopback are always among them.";
    }
    limits {
        auth_keys_check: Duration as Positive<Millis> = "AUTH_KEYS_CHECK_MS", "1s", "How often the API looks whether `AUTH_KEYS_FILE` has changed.";
        auth_keys_max_bytes: usize as Positive<Bytes> = "AUTH_KEYS_MAX_BYTES", "16 MiB", "Size of the largest `AUTH_KEYS_FILE`.";
        auth_keys_lock: Duration as Millis = "AUTH_KEYS_LOCK_MS", "30s", "How long `fanfold keys` waits for another command that is changing `AUTH_KEYS_FILE`.";
        auth_tokens_max: usize as Positive<Whole<usize>> = "AUTH_TOKENS_MAX", "10000", "Number of verified JWTs that are remembered until they expire.";
        auth_jwks_refresh: Duration as Positive<Millis> = "AUTH_JWKS_REFRESH_MS", "5m", "How often the issuer's keys are fetched again.";
        auth_jwks_pause: Duration as Positive<Millis> = "AUTH_JWKS_PAUSE_MS", "10s", "Least time between two fetches of the issuer's keys, also where a JWT names an unknown key.";
        auth_jwks_timeout: Duration as Positive<Millis> = "AUTH_JWKS_TIMEOUT_MS", "5s", "How long a fetch of the issuer's keys may take, and how long a call waits for it.";
    }
    /// The configuration of the worker.
    worker: WorkerConfig for Worker {
        #[secret Url] executor: SecretString as Secret = "EXECUTOR", "reference", "Executor of the task type `default`: `reference`, `echo`, `noop`, `command:PROGRAM ARGS…`, or an `http://` URL.";
        worker_concurrency: usize as Positive<Whole<usize>> = "WORKER_CONCURRENCY", "64", "Number of tasks of one type that a worker runs at once.";
        worker_name: String as String = "WORKER_NAME", "", "Name of this worker in the history. Unset: a name is generated.";
        max_task_attempts: u32 as Positive<Whole<u32>> = "MAX_TASK_ATTEMPTS", "3", "Number of attempts of a task, unless its type says otherwise.";
    }
    limits {
        task_timeout: Duration as Positive<Millis> = "TASK_TIMEOUT_MS", "1m", "Timeout of an attempt, unless its type says otherwise.";
        retry_delay: Duration as Millis = "RETRY_DELAY_MS", "500ms", "Delay before the second attempt, unless its type says otherwise.";
        broker_patience: Duration as Positive<Millis> = "BROKER_PATIENCE_MS", "5m", "How long a worker keeps a task, under its lease, while the broker lacks the document of the task or takes no outcome. Then the task goes to another worker.";
        long_delay: Duration as Millis = "LONG_DELAY_MS", "30s", "Delays longer than this are kept by a timer instead of the task queue.";
    }
    /// The configuration of fetches.
    references: ReferencesConfig for References {
        #[secret Url] href_allow: String as String = "HREF_ALLOW", "", "Places that documents may refer to by `href`, separated by commas: `s3://bucket/prefix`, `file:///root`, `https://host/path`, `http://host/path`, and with `private:` in front a host with addresses that are not public. Unset: no place.";
        href_total_max_bytes: u64 as Bytes = "HREF_TOTAL_MAX_BYTES", "64 MiB", "Size of all documents that are fetched for one request.";
        #[secret Url] s3_endpoint: String as String = "S3_ENDPOINT", "", "Endpoint of `s3://` buckets. Unset: Amazon's endpoint of the region. The region and the credentials are `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment.";
    }
    limits {
        href_timeout: Duration as Positive<Millis> = "HREF_TIMEOUT_MS", "10s", "Timeout of one fetch.";
        href_max_bytes: usize as Bytes = "HREF_MAX_BYTES", "10 MiB", "Size of the largest fetched document, after decompression.";
        href_max_count: usize as Whole<usize> = "HREF_MAX_COUNT", "100", "Number of documents that are fetched for one request.";
        href_attempts: u32 as Positive<Whole<u32>> = "HREF_ATTEMPTS", "6", "Number of attempts of a fetch, where another attempt may help.";
        href_host_fetches_max: usize as Positive<Whole<usize>> = "HREF_HOST_FETCHES_MAX", "64", "Number of fetches from one host that may be under way at once.";
        href_host_line_max: usize as Positive<Whole<usize>> = "HREF_HOST_LINE_MAX", "400", "Number of fetches from one host that may be under way or wait. Further ones begin later.";
        outside_turns_max: usize as Positive<Whole<usize>> = "OUTSIDE_TURNS_MAX", "1000", "Number of requests that may wait for hosts and for the object store without a place among those that the orchestrator works on. Further ones take such places.";
        transfers_max: usize as Positive<Whole<usize>> = "TRANSFERS_MAX", "64", "Number of documents and results that the orchestrator may move to or from the object store at once.";
    }
    /// The configuration of webhooks.
    webhooks: WebhooksConfig for Webhooks {
        #[secret Secret] webhook_secret: Option<SecretString> as Unless<Secret> = "WEBHOOK_SECRET", "", "Key that signs webhooks: `whsec_` and base64. Unset: no webhooks are sent, and the API refuses callbacks.";
        #[secret Url] webhook_url: SecretString as Secret = "WEBHOOK_URL", "", "Webhook URL of requests that were submitted without an `x-callback` header.";
        webhook_allow_private: bool as Flag = "WEBHOOK_ALLOW_PRIVATE", "false", "Whether webhooks may go to plain http and to private addresses.";
    }
    limits {
        webhook_attempts: u32 as Whole<u32> = "WEBHOOK_ATTEMPTS", "8", "Number of attempts of a webhook.";
        webhook_retry_delay: Duration as Millis = "WEBHOOK_RETRY_DELAY_MS", "5s", "Delay before the second attempt of a webhook. Each further delay is four times the one before.";
    }
    /// The configuration of every process.
    process: ProcessConfig for Process {
        shutdown_grace: Duration as Millis = "SHUTDOWN_GRACE_MS", "10s", "How long a role may take to finish its work after SIGTERM.";
        admin_host: IpAddr as IpAddr = "ADMIN_HOST", "127.0.0.1", "IP address of the admin listener, which answers `/healthz`, `/readyz` and `/metrics` and has the console.";
        admin_port: Option<u16> as Unless<Whole<u16>> = "ADMIN_PORT", "", "Port of the admin listener; 0 picks a free port. Unset: `up` and `console` take 8081, or a free port if that is taken; another single role has no admin listener.";
        log_format: LogFormat as LogFormat = "LOG_FORMAT", "text", "Format of the logs: `text` or `json`.";
        log_filter: String as String = "RUST_LOG", "info,async_nats=warn", "Filter of the logs: a level, and levels of targets.";
    }
    limits {
        reconcile_interval: Duration as Positive<Millis> = "RECONCILE_INTERVAL_MS", "30s", "How often the orchestrator looks whether the queues hold what every open request needs.";
    }
}
