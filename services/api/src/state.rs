use std::time::Duration;

use domain::access::Tenant;
use domain::request::RequestId;
use metrics::Metrics;
use nats::{Connection, Log, Payloads};
use operations::Operations;
use projections::Store;
use quick_cache::sync::Cache;
use runtime::{InProcess, Pool, Shutdown, Tenants};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::Config;
use crate::admission::Admission;
use crate::http::metadata::Kept;
use crate::http::sharing::Shared;
use crate::storage::Storage;
use crate::tenancy::{InForce, Open, Shares};
use crate::valuation::task_index::Indexes;
use crate::valuation::waiters::Waiters;

/// How many callers may read a range of the log at once.
const SCANS_MAX: usize = 4;
/// How many callers may search the dead letters at once; others get 503.
const LOOKING_MAX: usize = 4;

/// How many task documents may be in memory at once, from the fetch to the end of the answer; others
/// get 503. One caller may have half of them.
const TASK_DOCUMENTS_MAX: usize = 16;

/// How many running requests are remembered whose views were checked.
const CHECKED_MAX: usize = 100_000;

/// The state that all routes share.
pub struct Api {
    pub(crate) connection: Connection,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) payloads: Payloads,
    /// The pool that runs long work on documents.
    pub(crate) pool: Pool,
    pub(crate) operations: Operations,
    pub(crate) waiters: Waiters,
    /// The memory for the bodies that are arriving.
    pub(crate) bodies: Shared,
    pub(crate) admission: Admission,
    pub(crate) storage: Storage,
    /// The tenants, as the file has them.
    pub(crate) tenants: Tenants,
    pub(crate) quotas: InForce,
    /// The open requests of each tenant.
    pub(crate) open: Open,
    pub(crate) shares: Shares,
    pub(crate) payload_max_bytes: usize,
    /// The headers that a request keeps.
    pub(crate) kept: Kept,
    /// Whether callbacks may lead to private addresses.
    pub(crate) private_callbacks: bool,
    /// Whether callbacks of the tenant `default` are signed, and therefore sent at all.
    pub(crate) signs_callbacks: bool,
    pub(crate) sync_wait: Duration,
    pub(crate) time_to_live: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) sse_heartbeat: Duration,
    pub(crate) shutdown: Shutdown,
    /// The permits to search the dead letters.
    pub(crate) looking: Semaphore,
    pub(crate) task_documents: Shared,
    /// The task indexes of recently read requests.
    pub(crate) indexes: Indexes,
    /// When the views of running requests were last found to be where the log is.
    pub(crate) checked: Cache<RequestId, Instant>,
    /// The permits to read a range of the log.
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
        config: Config<'_>,
        shutdown: &Shutdown,
    ) -> Self {
        let own = config.api;
        Self {
            payloads: Payloads::new(connection.clone()),
            pool: in_process.pool,
            operations: Operations::new(
                connection.clone(),
                log.clone(),
                in_process.documents,
                config.deployment,
            ),
            waiters: Waiters::new(own.sync_waiters_max, own.event_streams_max),
            bodies: Shared::bytes(own.http_bodies_max_bytes, own.payload_max_bytes),
            admission: Admission::new(config, in_process.metrics.submissions.clone()),
            metrics: in_process.metrics,
            tenants: config.tenants.clone(),
            quotas: InForce::new(config.tenants),
            open: Open::new(
                config
                    .tenants
                    .any_quota(|quotas| quotas.open_requests.is_some()),
            ),
            shares: Shares::new(config.tenants),
            storage: Storage::new(in_process.broker_folder, config.deployment.shards),
            payload_max_bytes: own.payload_max_bytes,
            kept: own.into(),
            private_callbacks: config.webhooks.webhook_allow_private,
            signs_callbacks: config.webhooks.webhook_secret.is_some(),
            sync_wait: own.sync_wait_timeout,
            time_to_live: config.deployment.request_ttl,
            body_timeout: own.http_body_timeout,
            sse_heartbeat: own.sse_heartbeat,
            shutdown: shutdown.clone(),
            scanning: Semaphore::new(SCANS_MAX),
            looking: Semaphore::new(LOOKING_MAX),
            task_documents: Shared::bytes(TASK_DOCUMENTS_MAX, 1),
            indexes: Indexes::new(),
            checked: Cache::new(CHECKED_MAX),
            connection,
            log,
            store,
        }
    }
}

/// How often the open requests are counted again.
const RECOUNT_EVERY: Duration = Duration::from_secs(30);
/// How long a request is counted before the log is asked whether it has ended.
const RECOUNT_AFTER: Duration = Duration::from_mins(1);
/// How many requests one recount asks for.
const RECOUNT_MOST: usize = 500;

impl Api {
    /// Whether callbacks of a tenant are signed, and therefore sent at all.
    pub(crate) fn signs_callbacks_of(&self, tenant: &Tenant) -> bool {
        if tenant.is_default() {
            return self.signs_callbacks;
        }
        let own = self.tenants.get(tenant);
        own.is_some_and(|own| own.webhook_secret.is_some())
    }

    /// Asks the log, while the process runs, whether requests have ended whose ends this instance
    /// may have missed.
    pub(crate) async fn recount(&self, shutdown: &Shutdown) {
        while shutdown.pause(RECOUNT_EVERY).await {
            for request in self.open.counted_for(RECOUNT_AFTER, RECOUNT_MOST) {
                match self.log.last(request).await {
                    Ok(Some(last)) if last.has_ended() != Some(true) => {}
                    Ok(_) => self.open.end(request),
                    Err(error) => {
                        tracing::debug!(%request, %error, "an open request is counted again later");
                    }
                }
            }
        }
    }
}
