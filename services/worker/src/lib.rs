//! The worker: it pulls tasks, runs their executors and reports the outcomes.

pub mod executor;

mod attempt;
mod dead_lettering;
mod lease;
mod persistence;
mod pool;
mod retry_decision;
mod storage;
mod suspect;

use domain::request::AttemptNumber;
use std::sync::Arc;
use std::time::Duration;

use nats::{
    Connection, DeadLetters, First, Payloads, Pull, PullOptions, Quarantine, Reports, Tasks,
};
use runtime::{Deployment, Shutdown, TaskType, TaskTypes, WorkerConfig};
use tokio::task::JoinSet;

use executor::{Executor, ExecutorConfig};

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration of an executor is invalid.
    #[error("task type {task_type}: executor: {reason}")]
    Executor {
        /// The task type.
        task_type: String,
        /// The reason why the configuration is invalid.
        reason: String,
    },
    /// The broker failed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// A loop ended that must not end.
    #[error("the worker's loop ended")]
    Ended,
}

/// Everything that the attempts of one task type share.
pub(crate) struct WorkerContext {
    pub task_type: TaskType,
    pub executor: Executor,
    pub worker: String,
    pub reports: Reports,
    pub payloads: Payloads,
    pub dead_letters: DeadLetters,
    /// Tasks that may have ended the worker that ran them.
    pub quarantine: Quarantine,
    pub lease: Duration,
    pub long_delay: Duration,
    /// How long a worker keeps a task for which the broker lacks the document, or takes no outcome.
    pub broker_patience: Duration,
    pub shutdown: Shutdown,
}

/// Checks the configured executors before anything starts.
pub fn check(task_types: &TaskTypes) -> Result<(), Error> {
    task_types.iter().try_for_each(|t| executor(t).map(|_| ()))
}

fn wrong(task_type: &TaskType, reason: impl Into<String>) -> Error {
    Error::Executor {
        task_type: task_type.name.clone(),
        reason: reason.into(),
    }
}

fn config(task_type: &TaskType) -> Result<ExecutorConfig, Error> {
    let config = task_type.executor.clone().try_into();
    config.map_err(|error: toml::de::Error| wrong(task_type, error.message()))
}

fn executor(task_type: &TaskType) -> Result<Executor, Error> {
    let config = config(task_type)?;
    Executor::new(&config, task_type.result_max_bytes)
        .map_err(|error| wrong(task_type, error.to_string()))
}

/// Describes the configured executor of a task type, with secrets masked.
pub fn describe(task_type: &TaskType) -> Result<String, Error> {
    let table = toml::Value::try_from(config(task_type)?);
    let table = table.map_err(|error| wrong(task_type, error.to_string()))?;
    Ok(table.to_string())
}

/// Whether the executor of a type runs a program.
#[must_use]
pub fn runs_a_program(task_type: &TaskType) -> bool {
    matches!(config(task_type), Ok(ExecutorConfig::Command(_)))
}

/// Whether the executor of a type runs a program as the user of the worker.
#[must_use]
pub fn runs_a_program_as_itself(task_type: &TaskType) -> bool {
    matches!(config(task_type), Ok(ExecutorConfig::Command(command)) if command.user.is_none())
}

/// Runs one task with the executor of its type, outside any queue. Returns its result, or why there
/// is none.
pub async fn execute(
    task_type: &TaskType,
    id: domain::request::TaskId,
    attempt: AttemptNumber,
    document: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let executor = executor(task_type).map_err(|error| error.to_string())?;
    let task = executor::Task {
        request_id: id.request.to_string(),
        task_type: task_type.name.clone(),
        group: id.group,
        task: id.task,
        attempt,
        // This run is not part of the submitter's trace.
        traceparent: None,
        document: document.into(),
    };
    let cancelled = tokio_util::sync::CancellationToken::new();
    let executed = executor.execute(&task, task_type.time_limit, &cancelled);
    executed
        .await
        .map(Into::into)
        .map_err(|fault| format!("{}: {}", fault.code, fault.message))
}

/// The name of this process's worker, as in its reports.
#[must_use]
pub fn name(config: &WorkerConfig) -> String {
    match config.worker_name.as_str() {
        "" => format!("worker-{}", std::process::id()),
        name => name.to_owned(),
    }
}

/// Runs a worker of every task type until it is asked to end.
pub async fn run(
    connection: Connection,
    config: &WorkerConfig,
    deployment: &Deployment,
    task_types: &TaskTypes,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let worker = name(config);
    let mut pools = JoinSet::new();
    for task_type in task_types.iter() {
        let consumer = format!("worker-{}", task_type.name);
        let context = WorkerContext {
            quarantine: Quarantine::open(&connection, &consumer, First::InCompany).await?,
            executor: executor(task_type)?,
            task_type: task_type.clone(),
            worker: worker.clone(),
            reports: Reports::new(connection.clone()),
            payloads: Payloads::new(connection.clone()),
            dead_letters: DeadLetters::new(connection.clone()),
            lease: deployment.task_lease,
            long_delay: config.long_delay,
            broker_patience: config.broker_patience,
            shutdown: shutdown.clone(),
        };
        let options = PullOptions {
            concurrency: task_type.concurrency,
            lease: deployment.task_lease,
        };
        let pull = Pull::open(&connection, &task_type.name, options).await?;
        let stops = Tasks::new(connection.clone()).stops().await?;
        pools.spawn(pool::run(Arc::new(context), pull, stops, shutdown.clone()));
    }
    tracing::info!(worker, types = ?task_types.names(), "worker runs");
    while let Some(ended) = pools.join_next().await {
        if ended.is_err() || !shutdown.is_soft() {
            return Err(Error::Ended);
        }
    }
    Ok(())
}
