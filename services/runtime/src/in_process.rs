//! State that the roles of one process share.

use std::path::PathBuf;

use metrics::Metrics;

use crate::{Documents, Pool};

/// Everything besides the settings that the roles of one process share. Copies share it too.
#[derive(Clone)]
pub struct InProcess {
    /// Parsed documents on their way from the API to the orchestrator.
    pub documents: Documents,
    /// The threads that work on documents.
    pub pool: Pool,
    /// The name of this process's own worker, if it has one. The orchestrator trusts this worker to
    /// have checked the results that it reports.
    pub worker: Option<String>,
    /// The data folder of the broker that this process started, if it started one.
    pub broker_folder: Option<PathBuf>,
    /// What this process counts.
    pub metrics: Metrics,
}
