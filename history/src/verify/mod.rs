//! The verification: folds the log again, and checks its invariants and all data that depends on
//! it.

mod dead_letters;
mod documents;
mod invariants;
mod orphans;
mod patience;
mod payloads;
mod report;
mod run;
mod views;
mod whole;

use crate::Error;
pub use report::{Problem, Report};
pub use run::Run;
pub use views::{differences, is_expired};

impl Run {
    /// The report of the run.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }
}

/// Separates an unreadable item from a failed read. An unreadable item is a finding, and the
/// verification continues.
fn readable<T>(read: Result<T, nats::Error>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error @ nats::Error::Corrupt { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
