use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::access::Tenant;
use domain::request::{GroupIndex, RequestId, Sequence, Status};
use jiff::Timestamp;
use projections::{FailureView, GroupStatus, View};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::FailureBody;
use crate::auth::Admitted;
use crate::http::conditional;
use crate::http::media;
use crate::http::preference;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::sharing::Caller;
use crate::http::xml;
use crate::state::Api;
use crate::valuation::read::{Until, parse_id, seen, with_sequence};

/// Where a request stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Status)]
pub struct StatusBody {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    /// `received`, `running`, `succeeded`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    status: Status,
    /// The last commit that changed it.
    #[schema(value_type = u64)]
    sequence: Sequence,
    group_count: u32,
    /// The group that started last, from 0.
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
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// The attempts that ended, of all tasks.
    attempts: u64,
    /// The tasks that are given up now.
    failed_tasks: u64,
    groups: Vec<GroupBody>,
    /// The `x-*` headers of the submission.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FailureBody>)]
    failure: Option<FailureView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Group)]
struct GroupBody {
    name: Option<String>,
    /// The number of its tasks; before it has started, of its valuations.
    expected: u32,
    completed: u32,
    failed: u32,
    /// `waiting`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    status: GroupStatus,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
}

impl From<View> for StatusBody {
    fn from(view: View) -> Self {
        Self {
            request_id: view.request_id,
            status: view.status.plain(),
            sequence: view.seq,
            group_count: view.group_count,
            current_group: view.current_group,
            received_at: view.received_at,
            tenant: view.tenant,
            submitter: view.submitter,
            started_at: view.started_at,
            completed_at: view.completed_at,
            attempts: view.attempts,
            failed_tasks: view.failed_tasks,
            groups: view
                .groups
                .into_iter()
                .map(|group| GroupBody {
                    name: group.name,
                    expected: group.expected,
                    completed: group.completed,
                    failed: group.failed,
                    status: group.status,
                    started_at: group.started_at,
                    completed_at: group.completed_at,
                })
                .collect(),
            metadata: view.metadata,
            failure: view.status.into_failure(),
        }
    }
}

/// Where a request stands.
#[utoipa::path(
    get, path = "/valuation/{id}/status", tag = "valuations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for a change", pattern = "^wait=[0-9]{1,3}$"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has; with `Prefer: wait`, what the change is from", pattern = "^\"[0-9]{1,9}\\.(json|xml)\"$"),
        ("Fanfold-Sequence" = Option<u64>, Header, description = "The answer is not to be older than this"),
    ),
    responses(
        (status = 200, description = "Where it stands", content((StatusBody = "application/json"), (String = "application/xml")), headers(("ETag" = String), ("Fanfold-Sequence" = u64))),
        (status = 304, description = "The caller has it already"),
        (status = 400, description = "Not an id, or a header that cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 406, description = "Neither JSON nor XML is accepted", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request has not reached Fanfold-Sequence", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn status(
    State(api): State<Arc<Api>>,
    caller: Caller,
    reader: Admitted,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let form = json_or_xml(&headers);
    let seen = seen(&headers)?;
    // A caller that accepts neither form does not wait for the answer.
    let wait = preference::wait(&headers, api.sync_wait).filter(|_| form.is_ok());
    let view = match wait {
        None => api.known(&reader, id, seen).await?,
        Some(wait) => {
            let from = match known_sequence(&headers) {
                Some(sequence) => sequence,
                None => api.known(&reader, id, seen).await?.seq,
            };
            api.held_back(caller, &reader, id, seen, Until::Past(from), wait)
                .await?
        }
    };
    // A 404 for an unknown request comes before the 406.
    let form = form.map_err(|problem| problem.of(id))?;
    let sequence = view.seq;
    let tag = format!("{sequence}.{}", form.name());
    let response = if conditional::has(&headers, &tag) {
        conditional::not_modified(&tag)
    } else {
        conditional::tagged(form.answer("status", &StatusBody::from(view)), &tag)
    };
    Ok(preference::applied(with_sequence(response, sequence), wait))
}

/// The sequence of the version that the caller has.
fn known_sequence(headers: &HeaderMap) -> Option<Sequence> {
    conditional::tags(headers).find_map(|tag| tag.split('.').next()?.parse().ok())
}

/// The two forms of a body.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Json,
    /// XML with this media type.
    Xml(&'static str),
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml(_) => "xml",
        }
    }

    /// An answer with this body; `root` names its root element in XML.
    pub fn answer(self, root: &str, body: &impl Serialize) -> Response {
        let mut response = match self {
            Self::Json => Json(body).into_response(),
            Self::Xml(kind) => {
                let value = serde_json::to_value(body).unwrap_or_default();
                let kind = [(header::CONTENT_TYPE, kind)];
                (kind, xml::document(root, None, &value)).into_response()
            }
        };
        let accept = HeaderValue::from_static("accept");
        response.headers_mut().append(header::VARY, accept);
        response
    }
}

/// The form that the caller prefers.
pub fn json_or_xml(headers: &HeaderMap) -> Result<Form, Problem> {
    match media::choose(
        headers,
        &["application/json", "application/xml", "text/xml"],
    ) {
        Some("application/json") => Ok(Form::Json),
        Some(kind) => Ok(Form::Xml(kind)),
        None => {
            let message = "only application/json, application/xml and text/xml are available";
            Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                message,
            ))
        }
    }
}
