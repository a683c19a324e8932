use std::sync::Arc;
use std::time::Duration;

use cqrs_es::{AggregateError, CqrsFramework};
use domain::request::{Command, Rejection, RequestId, Rules, State};
use moka::sync::Cache;
use nats::{Connection, DeadLetters, Log, Payloads, Tasks, Timers};
use runtime::{Settings, TaskTypes};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::work::Work;

/// How many requests' documents an instance keeps parsed.
const CACHED_DOCUMENTS: u64 = 1_000;
/// How often a command is decided anew when another commit came first.
const CONFLICT_RETRIES: u32 = 5;

/// What every part of the orchestrator works with.
pub struct Context {
    pub log: Log,
    pub requests: CqrsFramework<State, Log>,
    pub tasks: Tasks,
    pub timers: Timers,
    pub payloads: Payloads,
    pub dead_letters: DeadLetters,
    pub task_types: TaskTypes,
    pub rules: Rules,
    pub request_timeout: Duration,
    documents: Cache<RequestId, Arc<Mutex<Work>>>,
}

impl Context {
    pub fn new(connection: Connection, log: Log, settings: &Settings) -> Self {
        Self {
            requests: CqrsFramework::new(log.clone(), Vec::new(), ()),
            tasks: Tasks::new(connection.clone()),
            timers: Timers::new(connection.clone()),
            payloads: Payloads::new(connection.clone()),
            dead_letters: DeadLetters::new(connection),
            task_types: settings.task_types.clone(),
            rules: Rules {
                group_timeout: Duration::from_millis(settings.group_timeout_ms),
                fail_fast: settings.fail_fast,
            },
            request_timeout: Duration::from_millis(settings.request_timeout_ms),
            documents: Cache::new(CACHED_DOCUMENTS),
            log,
        }
    }

    /// The document work of a request, shared by whoever needs it now.
    pub fn work(&self, request: RequestId) -> Arc<Mutex<Work>> {
        self.documents
            .get_with(request, || Arc::new(Mutex::new(Work::default())))
    }

    /// Drops a request's document: it ended, or what was done to it did not come to pass.
    pub fn forget_work(&self, request: RequestId) {
        self.documents.invalidate(&request);
    }

    /// Decides and commits a command; where another commit came first, it is decided again.
    pub async fn execute(&self, request: RequestId, command: Command) -> Result<(), Error> {
        let id = request.to_string();
        for _ in 0..CONFLICT_RETRIES {
            match self.requests.execute(&id, command.clone()).await {
                Err(AggregateError::AggregateConflict) => {
                    tracing::debug!(%request, "another commit came first; deciding again");
                }
                Err(AggregateError::UserError(rejection)) => return Err(rejection.into()),
                other => return Ok(other?),
            }
        }
        Err(Error::Later("other commits kept coming first".into()))
    }

    /// Ends a request that cannot be taken further. One that has ended stays as it is.
    pub async fn abort(&self, request: RequestId, error: Error) -> Result<(), Error> {
        match error {
            Error::Fails(failure) => {
                tracing::warn!(%request, code = failure.code, "{}", failure.message);
                match self.execute(request, Command::Abort(*failure)).await {
                    Err(Error::Refused(Rejection::Unknown)) => Ok(()),
                    other => other,
                }
            }
            other => Err(other),
        }
    }
}
