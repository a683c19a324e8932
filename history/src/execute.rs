//! Runs tasks again. The caller supplies the executor.

use domain::request::{AttemptNumber, TaskId};
use futures::future::BoxFuture;

/// One task to run.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt that runs again.
    pub attempt: AttemptNumber,
    /// The name of its valuation. The name decides the task type.
    pub valuation: Option<String>,
    /// Its document.
    pub document: Vec<u8>,
}

/// Runs tasks.
pub trait Executor: Send + Sync {
    /// Returns the result document, or the reason why there is none.
    fn execute(&self, execution: Execution) -> BoxFuture<'_, Result<Vec<u8>, String>>;
}
