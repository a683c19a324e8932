//! The flags that select what an operation is about.

use anyhow::bail;
use clap::Args;
use domain::access::Tenant;
use domain::bulk::Action;
use domain::request::{RequestId, Status};
use history::filter::Filter;
use jiff::Timestamp;
use operations::Select;

/// The filter of an operation.
#[derive(Args)]
pub struct Which {
    /// The tenant of everything that is selected
    #[arg(long, default_value_t)]
    pub tenant: Tenant,
    /// Select requests by their logs, as a cancellation always does, and not dead letters
    #[arg(long)]
    requests: bool,
    /// Only this task type, or `unreadable` dead letters
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// Only what failed with this code
    #[arg(long)]
    code: Option<String>,
    /// Only dead letters of this request
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// Only requests with this status
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<Status>,
    /// Only requests that failed with this fingerprint
    #[arg(long)]
    fingerprint: Option<String>,
    /// Only requests with this label: x-desk, or x-desk=rates
    #[arg(long)]
    label: Option<String>,
    /// Only what is from since then: a timestamp, or an age such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Select everything; needed if there is no filter
    #[arg(long)]
    all: bool,
}

fn status(text: &str) -> Result<Status, String> {
    let all = [
        Status::Received,
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| "it is received, running, succeeded, failed or cancelled".into())
}

impl Which {
    /// What the flags select for an action.
    pub fn select(&self, action: Action) -> anyhow::Result<Select> {
        let of_requests =
            self.status.is_some() || self.fingerprint.is_some() || self.label.is_some();
        let requests = self.requests || of_requests || action == Action::Cancel;
        if requests && self.request.is_some() {
            bail!("--request is about dead letters: name the request by itself");
        }
        let since = self.since.as_deref();
        let since = since.map(|text| runtime::since(text, Timestamp::now()));
        let since = since.transpose()?;
        let is_filter = of_requests
            || self.task_type.is_some()
            || self.code.is_some()
            || self.request.is_some()
            || since.is_some();
        if !is_filter && !self.all {
            bail!("say which: ids, a filter, or --all");
        }
        if requests {
            let all = |one: &Option<String>| one.iter().cloned().collect();
            let filter = Filter {
                status: self.status.into_iter().collect(),
                code: all(&self.code),
                fingerprint: all(&self.fingerprint),
                task_type: all(&self.task_type),
                label: all(&self.label),
                ..Filter::default()
            };
            return Ok(Select::Requests {
                filter: Box::new(filter),
                since,
            });
        }
        Ok(Select::Letters {
            filter: nats::Filter {
                tenant: Some(self.tenant.clone()),
                task_type: self.task_type.clone(),
                code: self.code.clone(),
                request: self.request,
                since,
            },
            after: 0,
            until: None,
            in_parts: false,
        })
    }
}
