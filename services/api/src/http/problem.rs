//! Errors in the form that callers receive: RFC 9457 problem details, with the fields of the old
//! API.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::document::Refusal;
use domain::request::{RequestId, Status};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::answers::{FailureBody, status_or_state};
use crate::http::headers::{SANDBOX, safe};
use crate::http::media;
use crate::http::xml;
use crate::storage;

/// The XML namespace of problems.
const NAMESPACE: &str = "urn:ietf:rfc:7807";

/// The code for a request that does not exist.
const UNKNOWN: &str = "unknown-request";
/// The code for stored data that cannot be read.
const UNREADABLE: &str = "history-unreadable";

/// The code for a call that may be stored.
const UNCONFIRMED: &str = "unconfirmed";

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    status: StatusCode,
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    members: Map<String, Value>,
}

/// An error (RFC 9457). More members may follow, as the error has them.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, missing_docs)] // The struct exists for its schema.
pub struct ProblemBody {
    /// A URN that ends with the code.
    #[schema(rename = "type", example = "urn:fanfold:problem:unknown-request")]
    kind: String,
    /// The HTTP status in words.
    title: String,
    /// The HTTP status; where a request's own state is the error, the word for that state.
    #[schema(schema_with = status_or_state)]
    status: Value,
    /// Stable, in kebab-case.
    code: String,
    /// The problem in plain words.
    detail: String,
    /// The same as `detail`, for clients of the old API.
    message: String,
    #[schema(rename = "requestId")]
    request_id: Option<String>,
    /// Where in the document, from 1.
    line: Option<u64>,
    /// Where in the line, from 1.
    column: Option<u64>,
    /// Why the request failed, where that is the error.
    failure: Option<FailureBody>,
}

impl Problem {
    /// An answer with this status, a stable code and a description in plain words.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let members = [
            ("type", json!(format!("urn:fanfold:problem:{code}"))),
            ("title", json!(status.canonical_reason().unwrap_or("Error"))),
            ("status", json!(status.as_u16())),
            ("code", json!(code)),
            ("detail", json!(message)),
            ("message", json!(message)),
        ];
        let members = members
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
        Self(Box::new(Details {
            status,
            retry_after: None,
            headers: Vec::new(),
            members,
        }))
    }

    /// The status and the description.
    pub fn told(&self) -> (StatusCode, String) {
        let detail = self.0.members.get("detail").and_then(Value::as_str);
        (self.0.status, detail.unwrap_or_default().to_owned())
    }

    /// Adds the id of this request.
    #[must_use]
    pub fn of(self, request: RequestId) -> Self {
        self.with("requestId", json!(request))
    }

    /// The code.
    pub fn code(&self) -> &str {
        let code = self.0.members.get("code");
        code.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        self.0.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Whether the error says that stored data cannot be read.
    pub fn is_unreadable(&self) -> bool {
        self.has_code(UNREADABLE)
    }

    /// Whether the error says that there is no such request.
    pub fn is_unknown(&self) -> bool {
        self.has_code(UNKNOWN)
    }

    fn has_code(&self, code: &str) -> bool {
        self.0.members.get("code").is_some_and(|own| own == code)
    }

    /// Adds one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Puts the state of a request into `status`, for an error that is the request's own state.
    /// Clients of the old API read that word there.
    #[must_use]
    pub fn stands(self, status: Status) -> Self {
        self.with("status", json!(status))
    }

    /// Asks the caller to try again after this many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds a header to the answer. A value that cannot be one is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        let value = HeaderValue::try_from(value).ok();
        self.0.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// The error for a request that does not exist.
    pub fn unknown(request: RequestId) -> Self {
        let message = format!("there is no request {request}");
        Self::new(StatusCode::NOT_FOUND, UNKNOWN, message).of(request)
    }

    /// The error for a request whose data has expired.
    pub fn expired(request: RequestId) -> Self {
        let message = format!("the data of request {request} has expired");
        Self::new(StatusCode::GONE, "request-expired", message).of(request)
    }

    fn of_status(status: StatusCode) -> Self {
        let words = status.canonical_reason().unwrap_or("error");
        Self::new(status, "refused", words.to_lowercase())
    }

    /// Writes the answer for a call that the server refuses before any route sees it.
    pub fn written(self, as_xml: bool) -> Response {
        let mut response = written(self.into_response(), as_xml);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        safe(response)
    }

    /// Writes the answer as bytes, for input that the server refuses before it is a valid call. The
    /// server does not know which media type the caller reads.
    pub fn written_plainly(&self) -> Bytes {
        let (status, (kind, body)) = (self.0.status, self.body(false));
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\n\
             content-security-policy: {SANDBOX}\r\nconnection: close\r\n\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            body.len()
        );
        (head + &body).into()
    }

    fn body(&self, as_xml: bool) -> (&'static str, String) {
        let members = Value::Object(self.0.members.clone());
        if as_xml {
            let text = xml::document("problem", Some(NAMESPACE), &members);
            ("application/problem+xml", text)
        } else {
            ("application/problem+json", members.to_string())
        }
    }
}

/// The error when the server has no capacity now.
pub fn overloaded(message: &str) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "overloaded", message).retry_after(1)
}

/// Gives every error answer the same form, whatever produced it, in the media type that the caller
/// reads.
pub async fn in_one_form(request: Request, next: Next) -> Response {
    formed(request, next, |_| false).await
}

/// As [`in_one_form`], for a listener whose routes may have error answers of their own form, such as
/// the state of a role that is not ready.
pub async fn in_one_form_or_its_own(request: Request, next: Next) -> Response {
    let has_form = |response: &Response| {
        response.headers().contains_key(header::CONTENT_TYPE)
            && response.extensions().get::<Problem>().is_none()
    };
    formed(request, next, has_form).await
}

async fn formed(request: Request, next: Next, has_form: impl Fn(&Response) -> bool) -> Response {
    let as_xml = media::prefers_xml(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || has_form(&response) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        // The console writes its own pages.
        return response;
    }
    written(response, as_xml)
}

/// Writes an error answer in its form.
fn written(response: Response, as_xml: bool) -> Response {
    let (mut parts, _) = response.into_parts();
    let problem = parts
        .extensions
        .remove::<Problem>()
        .unwrap_or_else(|| Problem::of_status(parts.status));
    let (kind, body) = problem.body(as_xml);
    let headers = &mut parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    Response::from_parts(parts, body.into())
}

impl From<nats::Error> for Problem {
    fn from(error: nats::Error) -> Self {
        tracing::warn!(%error, "the log cannot serve a call");
        if matches!(error, nats::Error::Corrupt { .. }) {
            let message =
                "the stored history of this request cannot be read; an operator must look into it";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, UNREADABLE, message);
        }
        if matches!(error, nats::Error::TooLarge { .. }) {
            let message = format!("the record of this call does not fit into the log: {error}");
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "document-limit", message);
        }
        if matches!(error, nats::Error::Unanswered(_)) {
            let message = "the log gave no answer, and may have stored this call: look at the \
                           request before you try again, or try again with the same \
                           Idempotency-Key";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, UNCONFIRMED, message).retry_after(1);
        }
        if let nats::Error::Denied(said) = &error {
            tracing::error!(said, "NATS does not grant this process a permission");
            let message = "this installation lacks a permission at its broker, and nothing was \
                           stored; an operator must grant it (`/readyz` names it)";
            return Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "broker-permission",
                message,
            );
        }
        if matches!(error, nats::Error::Full(_)) {
            return storage::full(
                "the log has no room, and nothing was stored; submit it again once an operator has made room",
            );
        }
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "log-unavailable",
            "the log is unavailable and nothing was stored; try again",
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
        if let Some(line) = refusal.line() {
            problem = problem.with("line", json!(line));
        }
        if let Some(column) = refusal.column() {
            problem = problem.with("column", json!(column));
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        if let Some(seconds) = self.0.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        for (name, value) in &self.0.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        // `in_one_form` writes the body, because it knows which media type the caller reads.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_the_log_can_never_store_is_a_client_error_without_a_retry() {
        let (what, bytes, limit) = ("a new commit".into(), 2, 1);
        let Problem(details) = nats::Error::TooLarge { what, bytes, limit }.into();
        assert_eq!(details.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(details.members["code"], "document-limit");
        assert_eq!(details.retry_after, None);
        let Problem(details) = nats::Error::Unavailable("away".into()).into();
        assert_eq!(details.retry_after, Some(1));
    }
}
