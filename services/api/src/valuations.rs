//! The list of requests, newest first.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::access::Tenant;
use domain::request::{GroupIndex, RequestId, Status};
use futures::future::try_join_all;
use jiff::Timestamp;
use projections::{Placed, View};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Admitted;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{self, Parameters, Since};
use crate::state::Api;
use crate::valuation::request_index::{CHUNK, RequestIndex};

/// The maximum and the default number of requests in one answer.
const PAGE_MAX: usize = 500;
const PAGE: usize = 50;
/// How many requests one answer examines. When few of them match, a page may be short and still
/// have a next page.
const LOOKED_AT_MAX: usize = 10_000;
/// A page ends after this many bytes of metadata.
const METADATA_MAX_BYTES: usize = 1024 * 1024;

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
    fn fits(&self, view: &View) -> bool {
        let code = view.failure().map(|failure| &failure.failure.code);
        self.status
            .is_none_or(|status| view.status.plain() == status)
            && self.since.is_none_or(|since| view.received_at >= since.0)
            && self.until.is_none_or(|until| view.received_at < until.0)
            && (self.failure.is_none() || self.failure.as_ref() == code)
            && self
                .label
                .as_ref()
                .is_none_or(|label| labelled(view, label))
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

    /// The position below which the page begins.
    fn below(&self) -> Result<Option<Placed>, Problem> {
        let until = self.until.map(|Since(until)| Placed {
            // A nil id sorts below every other id. The page therefore includes the requests in the
            // microsecond of `until`, and none in the next microsecond.
            micros: until.as_microsecond().saturating_add(1),
            request: RequestId::new(uuid::Uuid::nil()),
        });
        let cursor = self.cursor.as_deref().map(place).transpose()?;
        Ok(match (cursor, until) {
            (Some(cursor), Some(until)) => Some(cursor.min(until)),
            (cursor, until) => cursor.or(until),
        })
    }
}

fn labelled(view: &View, label: &str) -> bool {
    let (name, value) = match label.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (label, None),
    };
    let found = view.metadata.get(&name.to_ascii_lowercase());
    found.is_some_and(|found| value.is_none_or(|value| found == value))
}

fn metadata_of(view: &View) -> usize {
    let lengths = view
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len());
    lengths.sum()
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
    get, path = "/valuations", tag = "valuations",
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
    let mut below = query.below()?;
    let since = query.since.map_or(0, |Since(since)| since.as_microsecond());
    let index = RequestIndex::read(&api, reader.scope()).await?;
    let mut found = Vec::new();
    let (mut looked_at, mut metadata_bytes) = (0, 0);
    let is_full = |found: &[Listed], metadata_bytes: usize| {
        found.len() == limit || metadata_bytes >= METADATA_MAX_BYTES
    };
    let next = loop {
        let chunk = index.chunk(&api, below, since).await?;
        let views = chunk.iter().map(|place| index.view(&api, place.request));
        let views = try_join_all(views).await?;
        for (place, view) in chunk.iter().zip(views) {
            looked_at += 1;
            below = Some(*place);
            if let Some(view) = view.filter(|view| reader.may_see(view) && query.fits(view)) {
                metadata_bytes += metadata_of(&view);
                found.push(Listed::from(view));
            }
            if is_full(&found, metadata_bytes) {
                break;
            }
        }
        if is_full(&found, metadata_bytes) || looked_at >= LOOKED_AT_MAX {
            break below;
        }
        if chunk.len() < CHUNK {
            break None;
        }
    };
    let body = ListBody {
        valuations: found,
        next: next.map(cursor),
    };
    Ok(Json(body).into_response())
}
