//! The commands of people to Fanfold: submit, cancel, redrive, fork, dead letters, rebuild.
//!
//! The API and the command line both issue commands through this crate, so that they behave alike.
//! A dry run makes the same decision without the commit. This crate owns the protocol around a
//! command. It passes a parsed document to the role of this process that continues the request. It
//! evicts the cached state. It remembers the sequence of the commit, so that a caller reads its own
//! writes.

mod bulk;
mod cancel;
mod dead_letters;
mod fork;
mod operator;
pub mod readiness;
pub mod rebuild;
mod redrive;
mod seen;
mod standing;
mod stuck;
mod submit;
mod tenancy;
mod why;

use std::time::Duration;

use domain::request::{RequestId, Rules};
use nats::{BulkLog, Connection, DeadLetters, ExecuteError, Log, Payloads, Receipt};
use runtime::{Deployment, Documents};

pub use bulk::{
    ANSWERS_WITHIN, BulkError, Executor, Folded, ItemsPage, Order, Page, Select, Selected, Told,
};
pub use dead_letters::{Answer, Change, Changed};
pub use fork::{ForkError, ForkPlan};
pub use operator::{NotAllowed, operator, permit};
pub use readiness::Readiness;
pub use seen::Seen;
pub use standing::{Alarm, Open, ShardStanding, Standing};
pub use stuck::StuckWatch;
pub use submit::{Submission, SubmitError, Submitted};
pub use why::{REASON_MAX_CHARS, Why, WhyError};

/// Executes the commands of people.
#[derive(Clone)]
pub struct Operations {
    connection: Connection,
    log: Log,
    payloads: Payloads,
    bulk: BulkLog,
    /// The bulk operations that this process knows.
    board: bulk::Board,
    letters: DeadLetters,
    /// The accepted documents that wait for the orchestrator of this process.
    documents: Documents,
    seen: Seen,
    rules: Rules,
    /// How long the log must still keep a request that starts to run again.
    needed: Duration,
}

impl Operations {
    /// Operations on this connection and log, under the facts of the deployment.
    #[must_use]
    pub fn new(
        connection: Connection,
        log: Log,
        documents: Documents,
        deployment: &Deployment,
    ) -> Self {
        Self {
            payloads: Payloads::new(connection.clone()),
            bulk: BulkLog::new(connection.clone()),
            board: bulk::Board::default(),
            letters: DeadLetters::new(connection.clone()),
            connection,
            log,
            documents,
            seen: Seen::default(),
            rules: deployment.rules(),
            needed: deployment
                .request_timeout
                .saturating_add(runtime::LOG_OUTLIVES),
        }
    }

    /// The dead letters.
    #[must_use]
    pub fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    /// The sequences that this process has reported to callers.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Finishes a command to a request that no role of this process continues: evicts the cached
    /// state, and remembers the sequence.
    fn done(
        &self,
        request: RequestId,
        done: Result<Receipt, ExecuteError>,
    ) -> Result<Receipt, ExecuteError> {
        self.log.forget(request);
        let receipt = done?;
        self.seen.note(request, receipt.sequence);
        Ok(receipt)
    }
}
