//! Errors as callers get them: RFC 9457 problem details, with the fields of the old API kept.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::document::Refusal;
use domain::request::RequestId;
use serde::Serialize;

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Body>);

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// Stable, in kebab-case.
    code: String,
    detail: String,
    /// The same as `detail`, for clients of the old API.
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    /// After how many seconds it is worth trying again.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// An answer of this status, with a stable code and what happened in plain words.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Body {
            kind: format!("urn:fanfold:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: message.clone(),
            message,
            request_id: None,
            line: None,
            column: None,
            retry_after: None,
        }))
    }

    /// About this request.
    #[must_use]
    pub fn of(mut self, request: RequestId) -> Self {
        self.0.request_id = Some(request);
        self
    }

    /// Worth trying again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// No such request.
    pub fn unknown(request: RequestId) -> Self {
        let message = format!("there is no request {request}");
        Self::new(StatusCode::NOT_FOUND, "unknown-request", message).of(request)
    }
}

impl From<nats::Error> for Problem {
    fn from(error: nats::Error) -> Self {
        tracing::warn!(%error, "the log cannot serve a call");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "log-unavailable",
            "the log is not available; nothing was taken in, try again",
        )
        .retry_after(1)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = if refusal.is_too_large() {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        };
        let mut problem = Self::new(status, refusal.code(), refusal.to_string());
        problem.0.line = refusal.line();
        problem.0.column = refusal.column();
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.0.retry_after;
        let mut response = (status, axum::Json(self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
