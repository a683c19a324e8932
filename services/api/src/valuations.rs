//! The list of requests, newest first.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::access::Tenant;
use domain::request::{GroupIndex, RequestId, Status};
use history::listing::ListFilter;
use jiff::Timestamp;
use projections::{Placed, View};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Admitted;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{self, Parameters, Since};
use crate::state::Api;
use crate::valuation::request_index;

/// The maximum and the default number of requests in one answer.
const PAGE_MAX: usize = 500;
const PAGE: usize = 50;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only requests with this status.
    #[param(value_type = Option<String>, pattern = "^(received|running|succeeded|failed|cancelled)$")]
    status: Option<Status>,
    /// Only requests received at this time or later: a timestamp, or an age such as `90s`, `2h` or
    /// `7d`.
    #[param(value_type = Option<String>)]
    since: Option<Since>,
    /// Only requests received before this time: a timestamp or an age.
    #[param(value_type = Option<String>)]
    until: Option<Since>,
    /// Only requests with this metadata: `x-desk:rates`, or `x-desk` with any value.
    #[param(pattern = "^[Xx]-[^:]+(:[\\s\\S]*)?$")]
    label: Option<String>,
    /// Only requests that failed with this code.
    #[param(pattern = "^[0-9a-z-]+$")]
    failure: Option<String>,
    /// Where the page begins, as `next` names it.
    #[param(
        pattern = "^[0-9]{1,15}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    )]
    cursor: Option<String>,
    /// The maximum number on a page.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Listing)]
struct ListBody {
    valuations: Vec<Listed>,
    /// Where the next page begins; none where this is the last. A page may be short though there
    /// are more.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Listed)]
struct Listed {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    /// `received`, `running`, `succeeded`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    status: Status,
    group_count: u32,
    #[schema(value_type = Option<u32>)]
    current_group: Option<GroupIndex>,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Its tenant, unless that is `default`.
    #[serde(skip_serializing_if = "Tenant::is_default")]
    #[schema(value_type = Option<String>)]
    tenant: Tenant,
    /// Who submitted it, where callers are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    submitter: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    failed_tasks: u64,
    metadata: BTreeMap<String, String>,
    /// The code of its failure.
    failure: Option<String>,
}

impl From<View> for Listed {
    fn from(view: View) -> Self {
        Self {
            request_id: view.request_id,
            status: view.status.plain(),
            group_count: view.group_count,
            current_group: view.current_group,
            received_at: view.received_at,
            tenant: view.tenant,
            submitter: view.submitter,
            completed_at: view.completed_at,
            failed_tasks: view.failed_tasks,
            metadata: view.metadata,
            failure: view.status.into_failure().map(|failed| failed.failure.code),
        }
    }
}

impl ListQuery {
    fn filter(&self) -> ListFilter {
        let label = self
            .label
            .as_deref()
            .map(|label| match label.split_once(':') {
                Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
                None => (label.to_ascii_lowercase(), None),
            });
        ListFilter {
            status: self.status,
            since: self.since.map(|Since(since)| since),
            until: self.until.map(|Since(until)| until),
            label,
            failure: self.failure.clone(),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let name = self
            .label
            .as_deref()
            .map(|label| label.split(':').next().unwrap_or(label));
        if name.is_some_and(|name| name.len() < 3 || !name.to_ascii_lowercase().starts_with("x-")) {
            return Err(query::refused("a label is x-name or x-name:value"));
        }
        let code = self.failure.as_deref();
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if code.is_some_and(|code| code.is_empty() || !code.chars().all(kebab)) {
            return Err(query::refused("failure is a code such as tasks-failed"));
        }
        Ok(())
    }
}

pub(crate) fn place(cursor: &str) -> Result<Placed, Problem> {
    let parts = cursor.split_once('.');
    let place = parts.and_then(|(micros, id)| {
        let (micros, request) = (micros.parse().ok()?, RequestId::from_str(id).ok()?);
        Some(Placed { micros, request })
    });
    place.ok_or_else(|| query::refused("cursor is not one that an answer gave"))
}

pub(crate) fn cursor(place: Placed) -> String {
    format!("{}.{}", place.micros, place.request)
}

/// The requests there are, the newest first.
#[utoipa::path(
    get, path = "/valuations", tag = "valuations", operation_id = "list_valuations",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of requests", body = ListBody),
        (status = 400, description = "A parameter that cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    reader: Admitted,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, Problem> {
    let limit = match query.limit {
        None => PAGE,
        Some(limit @ 1..=PAGE_MAX) => limit,
        Some(_) => return Err(query::refused("limit is from 1 to 500")),
    };
    query.check()?;
    let cursor = query.cursor.as_deref().map(place).transpose()?;
    let index = request_index::read(&api, reader.scope()).await?;
    let sees = |view: &View| reader.may_see(view);
    let view = |request, reached| request_index::view(&api, request, reached);
    let page = index
        .page(&query.filter(), cursor, limit, sees, view)
        .await?;
    let body = ListBody {
        valuations: page.views.into_iter().map(Listed::from).collect(),
        next: page.next.map(self::cursor),
    };
    Ok(Json(body).into_response())
}
