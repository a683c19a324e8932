use std::time::Duration;

use domain::request::{RequestId, Rules};
use nats::{Connection, Log, Payloads};
use projections::Store;
use quick_cache::sync::Cache;
use runtime::{Documents, InProcess, Operator, Pool, Settings, Shutdown};
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::sharing::Shared;
use crate::task_index::Indexes;
use crate::waiters::Waiters;

/// Of how many requests an instance remembers how far it has read.
const SEEN_MAX: usize = 100_000;
/// How many callers read a stretch of the log at once.
const SCANS_MAX: usize = 4;
/// How many callers look through the dead letters at once; more get 503.
const LOOKING_MAX: usize = 4;

/// What every route works with.
pub struct Api {
    pub(crate) connection: Connection,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) payloads: Payloads,
    /// Where the documents that it took in wait for the orchestrator of this process.
    pub(crate) documents: Documents,
    /// Where work on documents is done that takes long.
    pub(crate) pool: Pool,
    pub(crate) operator: Operator,
    pub(crate) waiters: Waiters,
    /// The room that the bodies under way have.
    pub(crate) bodies: Shared,
    pub(crate) admission: Admission,
    pub(crate) rules: Rules,
    pub(crate) payload_max_bytes: usize,
    /// Whether callbacks may lead inside.
    pub(crate) private_callbacks: bool,
    /// Whether callbacks are signed, and so sent at all.
    pub(crate) signs_callbacks: bool,
    pub(crate) sync_wait: Duration,
    pub(crate) time_to_live: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) sse_heartbeat: Duration,
    pub(crate) shutdown: Shutdown,
    /// How far the log was read for an answer: a later answer is not to be older.
    pub(crate) seen: Cache<RequestId, u64>,
    /// Whoever looks through the dead letters has this turn.
    pub(crate) looking: Semaphore,
    /// The tasks of requests that were asked for lately.
    pub(crate) indexes: Indexes,
    /// Whoever reads a stretch of the log has this turn.
    pub(crate) scanning: Semaphore,
}

impl Api {
    /// The routes' state on these connections.
    #[must_use]
    pub fn new(
        connection: Connection,
        log: Log,
        store: Store,
        in_process: InProcess,
        settings: &Settings,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            payloads: Payloads::new(connection.clone()),
            documents: in_process.documents,
            pool: in_process.pool,
            operator: Operator::new(connection.clone(), log.clone(), settings),
            waiters: Waiters::new(settings.sync_waiters_max, settings.event_streams_max),
            bodies: Shared::bytes(settings.http_bodies_max_bytes, settings.payload_max_bytes),
            admission: Admission::new(settings),
            rules: settings.rules(),
            payload_max_bytes: settings.payload_max_bytes,
            private_callbacks: settings.webhook_allow_private,
            signs_callbacks: !settings.webhook_secret.is_empty(),
            sync_wait: settings.sync_wait_timeout,
            time_to_live: settings.request_ttl,
            body_timeout: settings.http_body_timeout,
            sse_heartbeat: settings.sse_heartbeat,
            shutdown: shutdown.clone(),
            seen: Cache::new(SEEN_MAX),
            scanning: Semaphore::new(SCANS_MAX),
            looking: Semaphore::new(LOOKING_MAX),
            indexes: Indexes::new(),
            connection,
            log,
            store,
        }
    }
}
