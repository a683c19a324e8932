//! Executors: the code that runs one attempt of one task.
//!
//! An executor takes a task document and returns a result document of the same shape, or a
//! [`Fault`] that says whether another attempt may help. It keeps no state between attempts and
//! never retries by itself, because the queue counts the attempts. `docs/executors.md` is the
//! operator's view of this module.

pub(crate) mod aside;
pub mod command;
mod config;
mod fault;
pub mod http;
mod noop;
pub mod reference;
mod result;
mod walk;

use domain::request::{AttemptNumber, GroupIndex, TaskNumber};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub use command::{CONFINED, Command, confined};
pub use config::{ConfigError, ExecutorConfig};
pub use fault::{Fault, MAX_CAUSE_BYTES, MAX_CAUSES, Retry};
pub use http::Http;
pub use reference::Reference;
pub use walk::MAX_DEPTH;

/// The input of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The request the task belongs to.
    pub request_id: String,
    /// The configured type that chose this worker.
    pub task_type: String,
    /// The group of the task.
    pub group: GroupIndex,
    /// The task's number within its group.
    pub task: TaskNumber,
    /// The number of the attempt, from 1.
    pub attempt: AttemptNumber,
    /// The position of the attempt in the trace of its request, or that of the request in a trace of
    /// the submitter, as W3C Trace Context writes it.
    pub traceparent: Option<String>,
    /// What the tracing systems of the submitter say of the trace beside its ids.
    pub tracestate: Option<String>,
    /// The task document: XML in UTF-8.
    pub document: Bytes,
}

/// One configured way to run attempts; cheap to share, safe to use from many tasks at once.
#[derive(Debug)]
pub enum Executor {
    /// Prices a plain bond or loan from the valuation's own numbers.
    Reference(Reference),
    /// Gives the task document back as it is: for benchmarks and for trying out the wiring.
    Echo,
    /// Gives back an empty valuation: for measuring everything but the work.
    Noop,
    /// Runs a program.
    Command(Command),
    /// Posts the document to a service.
    Http(Http),
}

impl Executor {
    /// Builds the executor that a configuration describes; no result may have more bytes than
    /// `result_max_bytes`. There is none where workers of others take the tasks.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field and the value that cannot be used.
    pub fn new(
        config: &ExecutorConfig,
        result_max_bytes: usize,
    ) -> Result<Option<Self>, ConfigError> {
        Ok(Some(match config {
            ExecutorConfig::External(_) => return Ok(None),
            ExecutorConfig::Reference(_) => Self::Reference(Reference),
            ExecutorConfig::Echo(_) => Self::Echo,
            ExecutorConfig::Noop(_) => Self::Noop,
            ExecutorConfig::Command(config) => {
                Self::Command(Command::new(config, result_max_bytes)?)
            }
            ExecutorConfig::Http(config) => Self::Http(Http::new(config, result_max_bytes)?),
        }))
    }

    /// The executor's kind as the configuration spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reference(_) => "reference",
            Self::Echo => "echo",
            Self::Noop => "noop",
            Self::Command(_) => "command",
            Self::Http(_) => "http",
        }
    }

    /// Runs one attempt and gives its result document.
    ///
    /// An attempt that overruns `time_limit` is stopped and fails with `task-timed-out`; one that
    /// is cancelled is stopped and fails with `task-cancelled`. A program is first asked to stop,
    /// so a `command` attempt may take its grace longer. `reference`, `echo` and `noop` wait for nothing:
    /// their work is bounded by the size of the document, and the limit does not apply to them.
    /// Dropping the future stops the attempt at once.
    ///
    /// # Errors
    /// [`Fault`]: why there is no result, and whether another attempt may help.
    pub async fn execute(
        &self,
        task: &Task,
        time_limit: Duration,
        cancelled: &CancellationToken,
    ) -> Result<Bytes, Fault> {
        if cancelled.is_cancelled() {
            return Err(Fault::cancelled());
        }
        match self {
            Self::Reference(Reference) => {
                aside::computed(task.document.clone(), |document| Reference.value(&document)).await
            }
            Self::Echo => Ok(task.document.clone()),
            Self::Noop => Ok(noop::result(task)),
            Self::Command(command) => Box::pin(command.execute(task, time_limit, cancelled)).await,
            Self::Http(http) => Box::pin(http.execute(task, time_limit, cancelled)).await,
        }
    }
}

#[cfg(test)]
mod tests;
