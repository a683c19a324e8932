use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::access::Tenant;
use domain::request::{
    Command, DISPATCHED_AT_ONCE, GroupIndex, Payload, Rejection, RequestId, Rules, Run, Sequence,
    TraceRatio,
};
use jiff::Timestamp;
use metrics::Metrics;
use nats::{
    Connection, DeadLetters, ExecuteError, Loaded, Log, Payloads, Quarantine, Receipt, Tasks,
    Timers,
};
use quick_cache::sync::Cache;
use runtime::{Documents, InProcess, Pool, TaskTypes, Tenants, Wrong};
use tokio::sync::Mutex;

use crate::Config;
use crate::deferred_timers::{DeferredTimers, Timer, Wanted};
use crate::error::Error;
use crate::fetch::Fetchers;
use crate::memory_budget::MemoryBudget;
use crate::open_requests::OpenRequests;
use crate::outside::{Outside, Places};
use crate::ready::Weights;
use crate::resources::Bounds;
use crate::work::Work;

/// How many parsed documents an instance caches.
const CACHED_DOCUMENTS: usize = 1_000;

/// For how many requests an instance remembers the last dispatched task. If it forgets a request,
/// the next dispatch goes through all waiting tasks of that request again.
const KEPT_DISPATCHED: usize = 10_000;

/// For how many requests an instance remembers a tenant other than `default`.
const KEPT_TENANTS: usize = 100_000;

/// For how many URIs failed fetches are counted.
const COUNTED_FETCHES: usize = 10_000;

/// The marks of work that may have ended its process.
pub struct Suspects {
    /// Commits, and requests whose tasks are put back into lost queues.
    pub commits: Quarantine,
    pub reports: Quarantine,
}

/// How far this process has dispatched a group.
#[derive(Clone, Copy)]
struct Dispatched {
    run: Run,
    group: GroupIndex,
    last: u32,
}

/// Everything that the parts of the orchestrator share.
pub struct Context {
    pub connection: Connection,
    /// What this process counts.
    pub metrics: Metrics,
    /// The open requests of each shard, as far as this instance knows them.
    pub open: OpenRequests,
    pub log: Log,
    pub tasks: Tasks,
    pub timers: Timers,
    /// The timers that are wanted and not yet set.
    pub held: DeferredTimers,
    pub payloads: Payloads,
    pub dead_letters: DeadLetters,
    pub suspects: Suspects,
    pub task_types: TaskTypes,
    pub rules: Rules,
    /// The most bytes of a result.
    pub result_max_bytes: usize,
    /// The share of ordinary traces that are kept, where traces are sent.
    pub traces: Option<TraceRatio>,
    pub request_timeout: Duration,
    pub ack_wait: Duration,
    pub fetchers: Fetchers,
    /// What the file says of each tenant.
    pub tenants: Tenants,
    pub resource_bounds: Bounds,
    /// The places for work that waits for hosts and for the object store.
    pub outside: Outside,
    /// The documents that the API of this process accepted.
    pub taken_in: Documents,
    /// The threads for lengthy work on documents.
    pub pool: Pool,
    /// The name of this process's worker, whose results need no second check.
    pub own_worker: Option<String>,
    /// The memory budget for the cached documents.
    pub kept: MemoryBudget,
    documents: Cache<RequestId, Arc<Mutex<Work>>>,
    /// The last dispatched task of the running group, for large requests.
    dispatched: Cache<RequestId, Dispatched>,
    /// The tenants of requests that began lately, but not `default`. Reports do not name them.
    tenants_of: Cache<RequestId, Tenant>,
    /// The failed attempts to fetch resources, by request and URI.
    fetches: Cache<(RequestId, String), u32>,
}

impl Context {
    pub fn new(
        connection: Connection,
        log: Log,
        in_process: InProcess,
        suspects: Suspects,
        config: Config<'_>,
    ) -> Result<Self, Wrong> {
        let InProcess {
            documents: taken_in,
            pool,
            worker: own_worker,
            metrics,
            ..
        } = in_process;
        let Config {
            references,
            deployment,
            traces,
            ..
        } = config;
        let ack_wait = deployment.ack_wait;
        Ok(Self {
            tasks: Tasks::new(connection.clone()),
            timers: Timers::new(connection.clone()),
            held: DeferredTimers::new(ack_wait, metrics.orchestrator.timers.clone()),
            metrics,
            payloads: Payloads::new(connection.clone()),
            dead_letters: DeadLetters::new(connection.clone()),
            connection,
            open: OpenRequests::new(deployment.shards),
            suspects,
            task_types: config.task_types.clone(),
            rules: deployment.rules(),
            result_max_bytes: deployment.result_max_bytes,
            traces,
            request_timeout: deployment.request_timeout,
            ack_wait,
            fetchers: Fetchers::new(references, config.aws, config.tenants)?,
            tenants: config.tenants.clone(),
            resource_bounds: Bounds {
                count: references.href_max_count,
                bytes: references.href_total_max_bytes,
                attempts: references.href_attempts,
            },
            outside: Outside::new(Places::of(references)),
            taken_in,
            pool,
            own_worker,
            kept: MemoryBudget::default(),
            documents: Cache::new(CACHED_DOCUMENTS),
            dispatched: Cache::new(KEPT_DISPATCHED),
            tenants_of: Cache::new(KEPT_TENANTS),
            fetches: Cache::new(COUNTED_FETCHES),
            log,
        })
    }

    /// The timer that an event stored at `at` wants. Its time limit counts from then, by the clock of
    /// the broker, and not from the clock of the process that decided the event. `deadline` is the
    /// one by which the log names the start of a group.
    pub fn timer(&self, timer: Timer, at: Timestamp, deadline: Option<Timestamp>) -> Wanted {
        let limit = match timer {
            Timer::Group(..) => self.rules.group_timeout,
            Timer::Request(..) => self.request_timeout,
        };
        let due = at.checked_add(limit).unwrap_or(Timestamp::MAX);
        Wanted {
            timer,
            due,
            deadline: deadline.unwrap_or(due),
        }
    }

    /// The tenant of a request, as far as this instance remembers it. It only gives turns.
    pub fn tenant_of(&self, request: RequestId) -> Tenant {
        self.tenants_of.get(&request).unwrap_or_default()
    }

    /// Remembers the tenant of a request.
    pub fn note_tenant(&self, request: RequestId, tenant: &Tenant) {
        if !tenant.is_default() && self.tenants_of.get(&request).is_none() {
            self.tenants_of.insert(request, tenant.clone());
        }
    }

    /// The weights of the tenants that the file names.
    pub fn weights(&self) -> Weights {
        let named = self.tenants.named();
        named
            .map(|(tenant, own)| (tenant.clone(), own.weight))
            .chain([(Tenant::default(), self.tenants.weight(&Tenant::default()))])
            .collect()
    }

    /// The type of a valuation of a tenant.
    pub fn task_type(&self, tenant: &Tenant, valuation: Option<&str>) -> &str {
        let own = self.tenants.get(tenant);
        let allowed = own.and_then(|own| own.task_types.as_deref());
        self.task_types.among(allowed, valuation)
    }

    /// The bytes of a payload. A turn that has to get them from the object store gives up its place
    /// of the shard meanwhile.
    pub async fn bytes_of(&self, payload: &Payload) -> Result<Vec<u8>, nats::Error> {
        let _place = match payload.inline() {
            Some(_) => None,
            None => Some((self.outside.wait(), self.outside.transfer().await)),
        };
        self.payloads.fetch(payload).await
    }

    /// Makes the payload of these bytes. A turn that has to put them into the object store gives up
    /// its place of the shard meanwhile.
    pub async fn place(&self, bytes: Vec<u8>) -> Result<Payload, nats::Error> {
        let _place = if bytes.len() <= nats::INLINE_MAX_BYTES {
            None
        } else {
            Some((self.outside.wait(), self.outside.transfer().await))
        };
        self.payloads.place(bytes.into()).await
    }

    /// Puts these bytes into the object store, however few they are. The turn gives up its place of
    /// the shard meanwhile.
    pub async fn place_stored(&self, bytes: Vec<u8>) -> Result<Payload, nats::Error> {
        let _place = (self.outside.wait(), self.outside.transfer().await);
        self.payloads.place_stored(bytes.into()).await
    }

    /// Counts an attempt to fetch a resource for a request. After a failover, the new instance
    /// counts from zero. The timeouts of the request bound the total.
    pub fn fetch_attempt(&self, request: RequestId, uri: &str) -> u32 {
        let fetch = (request, uri.to_owned());
        let attempt = self.fetches.get(&fetch).unwrap_or(0) + 1;
        self.fetches.insert(fetch, attempt);
        attempt
    }

    /// Resets the count, because the fetch succeeded or was given up.
    pub fn forget_fetches(&self, request: RequestId, uri: &str) {
        self.fetches.remove(&(request, uri.to_owned()));
    }

    /// The document work of a request, shared by all tasks that need it now.
    pub fn work(&self, request: RequestId) -> Arc<Mutex<Work>> {
        let new = || Ok::<_, Infallible>(Arc::default());
        let Ok(work) = self.documents.get_or_insert_with(&request, new);
        work
    }

    /// Drops the document of a request that has ended.
    pub fn forget_work(&self, request: RequestId) {
        self.taken_in.take_back(request);
        self.documents.remove(&request);
        self.dispatched.remove(&request);
    }

    /// The last task of a group that this process is known to have dispatched in a run.
    pub fn dispatched(&self, request: RequestId, run: Run, group: GroupIndex) -> Option<u32> {
        let known = self.dispatched.get(&request)?;
        ((known.run, known.group) == (run, group)).then_some(known.last)
    }

    /// Records the last dispatched task of a group. Groups that are dispatched whole need no
    /// record, because they never ask for more tasks.
    pub fn note_dispatched(&self, request: RequestId, run: Run, group: GroupIndex, last: u32) {
        if last >= DISPATCHED_AT_ONCE {
            let dispatched = Dispatched { run, group, last };
            self.dispatched.insert(request, dispatched);
        }
    }

    /// Drops a large document of a request if all cached documents together exceed `most` bytes.
    /// The document is parsed again when it is needed.
    pub async fn let_go_above(&self, request: RequestId, most: usize) {
        if let Some(work) = self.documents.get(&request) {
            work.lock().await.let_go_above(most);
        }
    }

    /// Resets a request's document, because a change to it did not take effect. The lock stays the
    /// same, so that other tasks, such as the one that stops the request's tasks, keep waiting for
    /// it.
    pub async fn reset_work(&self, request: RequestId) {
        if let Some(work) = self.documents.get(&request) {
            *work.lock().await = Work::default();
        }
    }

    /// Decides and commits a command.
    pub async fn execute(&self, request: RequestId, command: Command) -> Result<Receipt, Error> {
        match self.log.execute(request, command).await {
            Ok(receipt) => Ok(receipt),
            Err(ExecuteError::Refused(rejection)) => Err(rejection.into()),
            Err(ExecuteError::Log(error)) => Err(Error::of_log(error)),
        }
    }

    /// The state of a request at sequence `least` or later.
    pub async fn load_since(&self, request: RequestId, least: Sequence) -> Result<Loaded, Error> {
        let loaded = self.log.load_since(request, least).await;
        loaded.map_err(Error::of_log)
    }

    /// The current state of a request, including commits of other processes.
    pub async fn load_current(&self, request: RequestId) -> Result<Loaded, Error> {
        let loaded = self.log.load_current(request).await;
        loaded.map_err(Error::of_log)
    }

    /// Fails the request if the error says that it cannot go on. A request that has ended stays as
    /// it is.
    pub async fn or_abort(&self, request: RequestId, done: Result<(), Error>) -> Result<(), Error> {
        let Err(Error::Fails(failure)) = done else {
            return done;
        };
        tracing::warn!(%request, code = failure.code, "{}", failure.message);
        // Commit the end first: a dispatch in progress stops when it sees the end.
        let aborted = Box::pin(self.execute(request, Command::Abort(*failure))).await;
        self.reset_work(request).await;
        match aborted {
            Err(Error::Refused(Rejection::Unknown)) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
