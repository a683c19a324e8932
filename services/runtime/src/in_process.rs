//! What the roles of one process share.

use crate::{Documents, Pool};

/// What the roles of one process share beside their settings. Copies share it.
#[derive(Clone)]
pub struct InProcess {
    /// Parsed documents on their way from the API to the orchestrator.
    pub documents: Documents,
    /// The threads that work on documents.
    pub pool: Pool,
    /// The name of this process's own worker, where it has one: what it reports is believed to
    /// have been looked at.
    pub worker: Option<String>,
}
