//! Running tasks again: what runs them is given by whoever builds the program.

use domain::request::{AttemptNumber, TaskId};
use futures::future::BoxFuture;

/// One task to run.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The task.
    pub task: TaskId,
    /// The attempt it was.
    pub attempt: AttemptNumber,
    /// The name of its valuation, by which its type is chosen.
    pub valuation: Option<String>,
    /// Its document.
    pub document: Vec<u8>,
}

/// Runs tasks.
pub trait Executor: Send + Sync {
    /// The result document, or why there is none.
    fn execute(&self, execution: Execution) -> BoxFuture<'_, Result<Vec<u8>, String>>;
}
