use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::{Payload, RequestId, Status};
use jiff::Timestamp;
use projections::{FailureView, View};
use serde_json::{Value, json};

use crate::failure::Problem;
use crate::read::parse_id;
use crate::state::Api;

/// `GET /valuation/{id}/results`
pub async fn results(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let view = api.view(id, 0).await?.ok_or_else(|| Problem::unknown(id))?;
    match view.status {
        Status::Succeeded => finished(&api, id, &view).await,
        Status::Failed => {
            let body = view
                .failure
                .as_ref()
                .map(|failure| failure_body(id, failure));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response())
        }
        Status::Cancelled => {
            let message = "the request was cancelled; there is no result";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "cancelled", message).of(id))
        }
        Status::Received | Status::Running => {
            let body = json!({
                "message": "Result not yet available",
                "status": view.status,
                "code": "not-ready",
                "requestId": id,
            });
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
            Ok((StatusCode::NOT_FOUND, retry, Json(body)).into_response())
        }
    }
}

async fn finished(api: &Api, id: RequestId, view: &View) -> Result<Response, Problem> {
    let response = match &view.response {
        Some(response) => api.document(id, response).await?,
        None => return Err(Problem::unknown(id)),
    };
    let left = view.completed_at.map_or(0, |at| {
        let gone = Timestamp::now().as_second() - at.as_second();
        let keep = i64::try_from(api.time_to_live.as_secs()).unwrap_or(i64::MAX);
        keep.saturating_sub(gone).max(0)
    });
    let mut response = xml(id, response);
    if let Ok(value) = HeaderValue::try_from(format!("private, max-age={left}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    Ok(response)
}

impl Api {
    /// The bytes of a response document.
    pub(crate) async fn document(
        &self,
        id: RequestId,
        payload: &Payload,
    ) -> Result<Vec<u8>, Problem> {
        self.payloads.fetch(payload).await.map_err(|error| {
            tracing::error!(request = %id, %error, "a response cannot be fetched");
            Problem::from(error).of(id)
        })
    }
}

/// An XML answer about a request.
pub(crate) fn xml(id: RequestId, document: Vec<u8>) -> Response {
    let mut response = document.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert("x-request-id", id);
    }
    response
}

/// A failure as an answer's body.
pub(crate) fn failure_body(id: RequestId, failure: &FailureView) -> Value {
    json!({
        "requestId": id,
        "status": Status::Failed,
        "code": failure.failure.code,
        "message": failure.failure.message,
        "detail": failure.failure.message,
        "failure": failure,
    })
}
