//! The body with which a caller drafts a bulk operation.

use axum::http::StatusCode;
use domain::bulk::Action;
use domain::request::Status;
use history::filter::Filter;
use jiff::Timestamp;
use operations::{Order, Select};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::Admitted;
use crate::dead_letters::filter;
use crate::http::input;
use crate::http::problem::Problem;
use crate::http::query;
use crate::valuation::read::parse_id;

/// What is done, to what, and why. Exactly one of `deadLetters`, `requests` and `ids` selects.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = DraftOperation)]
pub struct OrderBody {
    /// `redrive`, `cancel` or `discard`.
    action: String,
    /// Dead letters. A redrive or a cancellation is of their requests.
    dead_letters: Option<LettersBody>,
    /// Requests, as their log has them.
    requests: Option<RequestsBody>,
    /// These requests.
    ids: Option<Vec<String>>,
    /// Why. The history of each request has it.
    #[serde(default)]
    reason: String,
    /// The person for whom the caller acts.
    by: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = SelectDeadLetters)]
pub struct LettersBody {
    #[serde(rename = "type")]
    task_type: Option<String>,
    code: Option<String>,
    request: Option<String>,
    since: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = SelectRequests)]
pub struct RequestsBody {
    /// Only requests with this status.
    status: Option<String>,
    /// Only requests with a failure of this code, of a task or of the request.
    code: Option<String>,
    /// Only requests that failed with this fingerprint.
    fingerprint: Option<String>,
    /// Only requests with tasks of this type.
    #[serde(rename = "type")]
    task_type: Option<String>,
    /// Only requests with this label: `x-desk`, or `x-desk=rates`.
    label: Option<String>,
    /// Only what the log has since then.
    since: Option<String>,
}

impl OrderBody {
    /// The order, for what the tenant of the call has.
    pub fn order(self, caller: &Admitted) -> Result<Order, Problem> {
        let action: Action = self.action.parse().map_err(invalid)?;
        let why = if action == Action::Discard {
            input::why_if_said(caller, self.by.as_deref(), &self.reason)?
        } else {
            input::why(caller, self.by.as_deref(), &self.reason)?
        };
        let select = match (self.dead_letters, self.requests, self.ids) {
            (Some(letters), None, None) => letters.select(caller)?,
            (None, Some(requests), None) => requests.select()?,
            (None, None, Some(ids)) => {
                let ids: Result<Vec<_>, _> = ids.iter().map(|id| parse_id(id)).collect();
                Select::Ids(ids?)
            }
            _ => return Err(invalid("say one of `deadLetters`, `requests` and `ids`")),
        };
        Ok(Order {
            tenant: caller.tenant(),
            action,
            select,
            why,
        })
    }
}

impl LettersBody {
    fn select(self, caller: &Admitted) -> Result<Select, Problem> {
        let (request, since) = (self.request.as_deref(), self.since.as_deref());
        Ok(Select::Letters {
            filter: filter(caller, self.task_type, self.code, request, since)?,
            after: 0,
            until: None,
            in_parts: false,
        })
    }
}

impl RequestsBody {
    fn select(self) -> Result<Select, Problem> {
        let since = self.since.as_deref();
        let since = since.map(|text| query::since(text, Timestamp::now()));
        let since = since.transpose().map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid-since", error.to_string())
        })?;
        let status = self.status.as_deref().map(status).transpose()?;
        let all = |one: Option<String>| one.into_iter().collect();
        let filter = Filter {
            status: status.into_iter().collect(),
            code: all(self.code),
            fingerprint: all(self.fingerprint),
            task_type: all(self.task_type),
            label: all(self.label),
            ..Filter::default()
        };
        Ok(Select::Requests {
            filter: Box::new(filter),
            since,
        })
    }
}

fn status(text: &str) -> Result<Status, Problem> {
    let all = [
        Status::Received,
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| invalid("a status is received, running, succeeded, failed or cancelled"))
}

fn invalid(why: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-filter", why.to_string())
}
