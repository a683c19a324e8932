use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::request::{Command, DISPATCHED_AT_ONCE, Rejection, RequestId, Rules};
use nats::{
    Connection, DeadLetters, ExecuteError, Loaded, Log, Payloads, Quarantine, Receipt, Tasks,
    Timers,
};
use quick_cache::sync::Cache;
use runtime::{Documents, InProcess, Pool, Settings, SettingsError, TaskTypes};
use tokio::sync::Mutex;

use crate::deferred_timers::DeferredTimers;
use crate::error::Error;
use crate::fetch::Fetcher;
use crate::memory_budget::MemoryBudget;
use crate::resources::Bounds;
use crate::work::Work;

/// How many requests' documents an instance keeps parsed.
const CACHED_DOCUMENTS: usize = 1_000;

/// Of how many requests it is kept up to which task they are dispatched. One that is forgotten has
/// the tasks that wait looked through once more.
const KEPT_DISPATCHED: usize = 10_000;

/// How many failed fetches are counted.
const COUNTED_FETCHES: usize = 10_000;

/// What may have ended the process that worked on it.
pub struct Suspects {
    /// Commits, and requests that are put back because the queues lost what they held.
    pub commits: Quarantine,
    pub reports: Quarantine,
}

/// How far this process has dispatched a group.
#[derive(Clone, Copy)]
struct Dispatched {
    run: u32,
    group: u32,
    last: u32,
}

/// What every part of the orchestrator works with.
pub struct Context {
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
    pub request_timeout: Duration,
    pub ack_wait: Duration,
    pub fetcher: Fetcher,
    pub resource_bounds: Bounds,
    /// The documents that the API of this process took in.
    pub taken_in: Documents,
    /// Where work on documents is done that takes long.
    pub pool: Pool,
    /// The worker of this process, whose results need no second look.
    pub own_worker: Option<String>,
    /// The bytes of the documents that are kept.
    pub kept: MemoryBudget,
    documents: Cache<RequestId, Arc<Mutex<Work>>>,
    /// Up to which task the running groups of large requests are dispatched.
    dispatched: Cache<RequestId, Dispatched>,
    /// The failed attempts at what requests refer to.
    fetches: Cache<(RequestId, String), u32>,
}

impl Context {
    pub fn new(
        connection: Connection,
        log: Log,
        in_process: InProcess,
        suspects: Suspects,
        settings: &Settings,
    ) -> Result<Self, SettingsError> {
        let InProcess {
            documents: taken_in,
            pool,
            worker: own_worker,
        } = in_process;
        let ack_wait = settings.ack_wait;
        Ok(Self {
            tasks: Tasks::new(connection.clone()),
            timers: Timers::new(connection.clone()),
            held: DeferredTimers::new(ack_wait),
            payloads: Payloads::new(connection.clone()),
            dead_letters: DeadLetters::new(connection),
            suspects,
            task_types: settings.task_types.clone(),
            rules: settings.rules(),
            result_max_bytes: settings.result_max_bytes,
            request_timeout: settings.request_timeout,
            ack_wait,
            fetcher: Fetcher::new(settings)?,
            resource_bounds: Bounds {
                count: settings.href_max_count,
                bytes: settings.href_total_max_bytes,
                attempts: settings.href_attempts,
            },
            taken_in,
            pool,
            own_worker,
            kept: MemoryBudget::default(),
            documents: Cache::new(CACHED_DOCUMENTS),
            dispatched: Cache::new(KEPT_DISPATCHED),
            fetches: Cache::new(COUNTED_FETCHES),
            log,
        })
    }

    /// Counts an attempt at what a request refers to. An instance that takes over counts anew:
    /// the timeouts of the request bound it all.
    pub fn fetch_attempt(&self, request: RequestId, uri: &str) -> u32 {
        let fetch = (request, uri.to_owned());
        let attempt = self.fetches.get(&fetch).unwrap_or(0) + 1;
        self.fetches.insert(fetch, attempt);
        attempt
    }

    /// Counts anew: the fetch went well, or was given up.
    pub fn forget_fetches(&self, request: RequestId, uri: &str) {
        self.fetches.remove(&(request, uri.to_owned()));
    }

    /// The document work of a request, shared by whoever needs it now.
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

    /// The number of the last task of a group that this process has dispatched in a run, where it
    /// is known.
    pub fn dispatched(&self, request: RequestId, run: u32, group: u32) -> Option<u32> {
        let known = self.dispatched.get(&request)?;
        ((known.run, known.group) == (run, group)).then_some(known.last)
    }

    /// Notes up to which task a group is dispatched. One that is dispatched whole asks for no more.
    pub fn note_dispatched(&self, request: RequestId, run: u32, group: u32, last: u32) {
        if last >= DISPATCHED_AT_ONCE {
            let dispatched = Dispatched { run, group, last };
            self.dispatched.insert(request, dispatched);
        }
    }

    /// Lets a request's document go where it is large and those that are kept have more bytes
    /// than this. It is parsed again when it is wanted.
    pub async fn let_go_above(&self, request: RequestId, most: usize) {
        if let Some(work) = self.documents.get(&request) {
            work.lock().await.let_go_above(most);
        }
    }

    /// Begins anew with a request's document: what was done to it did not come to pass. Whoever
    /// waits for its work, as what stops its tasks does, waits for the same as before.
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
    pub async fn load_since(&self, request: RequestId, least: u64) -> Result<Loaded, Error> {
        let loaded = self.log.load_since(request, least).await;
        loaded.map_err(Error::of_log)
    }

    /// The state of a request as it is now, whoever went on with it.
    pub async fn load_current(&self, request: RequestId) -> Result<Loaded, Error> {
        let loaded = self.log.load_current(request).await;
        loaded.map_err(Error::of_log)
    }

    /// Ends the request where what was done shows that it cannot be taken further. One that has
    /// ended stays as it is.
    pub async fn or_abort(&self, request: RequestId, done: Result<(), Error>) -> Result<(), Error> {
        let Err(Error::Fails(failure)) = done else {
            return done;
        };
        tracing::warn!(%request, code = failure.code, "{}", failure.message);
        // First of all the end: a dispatch that is under way stops where it sees it.
        let aborted = Box::pin(self.execute(request, Command::Abort(*failure))).await;
        self.reset_work(request).await;
        match aborted {
            Err(Error::Refused(Rejection::Unknown)) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
