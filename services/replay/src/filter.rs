//! The flags that narrow `tail`, `search` and `export`.

use clap::Args;
use domain::access::Tenant;
use domain::request::Status;
use history::filter::Filter;
use history::point::Ago;

/// The flags that narrow `tail`, `search` and `export`. An item matches a flag if it matches any of
/// its values.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterArgs {
    /// Requests of this tenant
    #[arg(long)]
    pub tenant: Vec<Tenant>,
    /// Requests in this status: received, running, succeeded, failed, cancelled
    #[arg(long, value_parser = status)]
    pub status: Vec<Status>,
    /// Events of this name, such as task-failed
    #[arg(long)]
    pub event: Vec<String>,
    /// Failures with this code, of a task or of the request
    #[arg(long)]
    pub code: Vec<String>,
    /// Requests that failed with this fingerprint
    #[arg(long)]
    pub fingerprint: Vec<String>,
    /// Attempts on this worker
    #[arg(long)]
    pub worker: Vec<String>,
    /// Tasks of this type
    #[arg(long)]
    pub task_type: Vec<String>,
    /// Groups of this name
    #[arg(long)]
    pub group: Vec<String>,
    /// Requests that were submitted with this x-* header
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Only commits that were stored before this time
    #[arg(long, value_name = "1h|TIME")]
    pub until: Option<Ago>,
}

fn status(text: &str) -> Result<Status, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("'{text}' is none of received, running, succeeded, failed, cancelled"))
}

impl FilterArgs {
    /// The filter.
    pub fn filter(&self) -> Filter {
        Filter {
            tenant: self.tenant.clone(),
            submitter: None,
            status: self.status.clone(),
            event: self.event.clone(),
            code: self.code.clone(),
            fingerprint: self.fingerprint.clone(),
            worker: self.worker.clone(),
            task_type: self.task_type.clone(),
            group: self.group.clone(),
            label: self.label.clone(),
            until: self.until,
        }
    }
}
