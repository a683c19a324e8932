use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::{Payload, RequestId, Status};
use projections::{FailureView, RequestStatus, View};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::auth::Admitted;
use crate::http::conditional;
use crate::http::media;
use crate::http::preference;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Parameters, Said};
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::valuation::partial;
use crate::valuation::read::{Until, parse_id, seen, with_sequence};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// Whether to answer with the groups that are finished so far, where the request is not.
    #[param(value_type = Option<bool>)]
    partial: Option<Said>,
}

impl ResultsQuery {
    fn partial(&self) -> bool {
        self.partial.is_some_and(|said| said.0)
    }
}

/// The response document.
#[utoipa::path(
    get, path = "/valuation/{id}/results", tag = "valuations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
        ResultsQuery,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the end", pattern = "^wait=[0-9]{1,3}$"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has", pattern = "^\"[0-9a-f]{1,64}\"$"),
        ("Fanfold-Sequence" = Option<u64>, Header, description = "The answer is not to be older than this"),
    ),
    responses(
        (status = 200, description = "The response document", body = String, content_type = "application/xml", headers(("ETag" = String), ("Cache-Control" = String), ("Fanfold-Sequence" = u64), ("Fanfold-Incomplete" = Option<String>))),
        (status = 304, description = "The caller has it already"),
        (status = 400, description = "Not an id, or a parameter that cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "Not there yet, or never", body = ProblemBody, content_type = "application/problem+json"),
        (status = 406, description = "Results are XML", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request has not reached Fanfold-Sequence", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "There will be none: the request failed or was cancelled", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn results(
    State(api): State<Arc<Api>>,
    caller: Caller,
    reader: Admitted,
    Path(id): Path<String>,
    Parameters(query): Parameters<ResultsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let kind = media::xml(&headers);
    let seen = seen(&headers)?;
    // A caller that accepts no XML does not wait for the response.
    let wait = preference::wait(&headers, api.sync_wait).filter(|_| kind.is_some());
    let view = match wait {
        None => api.known(&reader, id, seen).await?,
        Some(wait) => {
            api.held_back(caller, &reader, id, seen, Until::End, wait)
                .await?
        }
    };
    // Report first why there is no document: a caller that accepts no XML can read that reason.
    let kind = kind.ok_or_else(|| {
        let message = "results are application/xml or text/xml";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", message).of(id)
    });
    let response = match &view.status {
        RequestStatus::Succeeded { response } => {
            finished(&api, id, &view, response, &headers, kind?).await?
        }
        _ if query.partial() => partial::so_far(&api, id, kind?).await?,
        status => {
            let none = no_response(id, status).into_response();
            return Ok(with_sequence(none, view.seq));
        }
    };
    Ok(preference::applied(with_sequence(response, view.seq), wait))
}

/// Why a request has no response, or none yet.
fn no_response(id: RequestId, status: &RequestStatus) -> Problem {
    match status {
        RequestStatus::Failed { failure } => failed(StatusCode::UNPROCESSABLE_ENTITY, id, failure),
        RequestStatus::Cancelled => {
            let message = "the request was cancelled; there is no result";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let problem = Problem::new(status, "cancelled", message).of(id);
            problem.stands(Status::Cancelled)
        }
        status => {
            let message = "Result not yet available";
            let problem = Problem::new(StatusCode::NOT_FOUND, "not-ready", message).of(id);
            problem.stands(status.plain()).retry_after(1)
        }
    }
}

/// The response of a finished request, or 304 when the caller already has it.
async fn finished(
    api: &Api,
    id: RequestId,
    view: &View,
    payload: &Payload,
    headers: &HeaderMap,
    kind: &'static str,
) -> Result<Response, Problem> {
    let tag = tag(payload);
    let mut response = if conditional::has(headers, &tag) {
        accept_varies(conditional::not_modified(&tag))
    } else {
        response(api, id, payload, kind).await?
    };
    let left = api.seconds_left(view).unwrap_or(0);
    if let Ok(value) = HeaderValue::try_from(format!("private, max-age={left}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    Ok(response)
}

fn tag(payload: &Payload) -> String {
    match payload {
        Payload::Stored { sha256, .. } => sha256.clone(),
        Payload::Inline(text) => nats::sha256(text.as_bytes()),
    }
}

/// A response document with its `ETag`.
pub(crate) async fn response(
    api: &Api,
    id: RequestId,
    payload: &Payload,
    kind: &'static str,
) -> Result<Response, Problem> {
    let document = xml(id, api.document(id, payload).await?, kind);
    Ok(conditional::tagged(document, &tag(payload)))
}

impl Api {
    /// The bytes of a document.
    pub(crate) async fn document(
        &self,
        id: RequestId,
        payload: &Payload,
    ) -> Result<Vec<u8>, Problem> {
        self.payloads.fetch(payload).await.map_err(|error| {
            tracing::error!(request = %id, %error, "a document cannot be fetched");
            Problem::from(error).of(id)
        })
    }
}

/// An XML answer about a request, with the media type that the caller accepts.
pub(crate) fn xml(id: RequestId, document: Vec<u8>, kind: &'static str) -> Response {
    let mut response = accept_varies(document.into_response());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert("x-request-id", id);
    }
    response
}

fn accept_varies(mut response: Response) -> Response {
    let accept = HeaderValue::from_static("accept");
    response.headers_mut().append(header::VARY, accept);
    response
}

/// The error for a failed request, with all known details.
pub(crate) fn failed(status: StatusCode, id: RequestId, failure: &FailureView) -> Problem {
    Problem::new(
        status,
        &failure.failure.code,
        failure.failure.message.as_str(),
    )
    .of(id)
    .stands(Status::Failed)
    .with("failure", json!(failure))
}
