//! Taking a document in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::document::{Document, Limits};
use domain::request::{Command, GroupOutline, Received, Rejection, RequestId, Status};
use nats::ExecuteError;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::failure::Problem;
use crate::results::{failure_body, xml};
use crate::state::Api;
use crate::waiters::Waiter;

/// Who submits, until callers are told apart.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// A document larger than this is parsed beside the event loop, not on it.
const PARSE_INLINE_MAX_BYTES: usize = 64 * 1024;

/// `POST /valuation`
pub async fn submit(
    State(api): State<Arc<Api>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let sync = wants_sync(&query)?;
    check_content_type(&headers)?;
    let body = check_body(&api, body)?;
    let outline = outline(&api, body.clone()).await?;
    let id = RequestId::new(uuid::Uuid::now_v7());
    let waiter = if sync {
        Some(register(&api, id)?)
    } else {
        None
    };
    let received = Received {
        document: api.payloads.place(&body).await?,
        fingerprint: outline.fingerprint,
        groups: outline.groups,
        metadata: metadata(&headers),
        submitter: ANONYMOUS.to_owned(),
        idempotency_key: None,
    };
    api.log.assume_new(id);
    let committed = api
        .log
        .execute(id, Command::Submit(Box::new(received)))
        .await;
    api.log.forget(id);
    let receipt = committed.map_err(|error| match error {
        ExecuteError::Refused(rejection) => refused(&rejection),
        ExecuteError::Log(error) => error.into(),
    })?;
    api.seen.insert(id, receipt.sequence);
    tracing::info!(request = %id, bytes = body.len(), sync, "accepted");
    match waiter {
        None => Ok(accepted(id, "accepted")),
        Some(waiter) => outcome(&api, id, waiter).await,
    }
}

fn refused(rejection: &Rejection) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        rejection.to_string(),
    )
}

fn wants_sync(query: &BTreeMap<String, String>) -> Result<bool, Problem> {
    match query.get("sync").map(String::as_str) {
        None | Some("N") => Ok(false),
        Some("Y") => Ok(true),
        Some(other) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-sync",
            format!("sync='{other}': it must be Y or N"),
        )),
    }
}

pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/xml") || essence.eq_ignore_ascii_case("text/xml") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("Content-Type is '{given}': send application/xml or text/xml"),
    ))
}

pub(crate) fn check_body(api: &Api, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            format!(
                "the document is larger than PAYLOAD_MAX_BYTES, {} bytes",
                api.payload_max_bytes
            ),
        )
    };
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else {
            let message = format!("the body could not be read: {}", rejection.body_text());
            Problem::new(StatusCode::BAD_REQUEST, "body-unreadable", message)
        }
    })?;
    if body.len() > api.payload_max_bytes {
        return Err(too_large());
    }
    if body.is_empty() {
        let message = "the body is empty: send a VNML document";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty-body", message));
    }
    Ok(body)
}

/// What is said of a document in `received`.
struct Outline {
    fingerprint: String,
    groups: Vec<GroupOutline>,
}

async fn outline(api: &Api, body: Bytes) -> Result<Outline, Problem> {
    let limits = Limits {
        max_bytes: api.payload_max_bytes,
        ..Limits::default()
    };
    let small = body.len() <= PARSE_INLINE_MAX_BYTES;
    let read = move || -> Result<Outline, Problem> {
        let document = Document::accept(&body, &limits)?;
        let groups = (0..document.groups()).map(|group| GroupOutline {
            name: document.group_name(group).map(str::to_owned),
            valuations: u32::try_from(document.valuations(group)).unwrap_or(u32::MAX),
        });
        Ok(Outline {
            fingerprint: hex(&Sha256::digest(document.canonical())),
            groups: groups.collect(),
        })
    };
    if small {
        return read();
    }
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        tracing::error!(%error, "checking a document ended");
        let message = "the document could not be checked";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn register(api: &Api, id: RequestId) -> Result<Waiter<'_>, Problem> {
    api.waiters.register(id).ok_or_else(|| {
        let message = "too many callers wait for results; submit with sync=N, or try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-waiters", message).retry_after(1)
    })
}

/// The `x-*` headers, names in lower case. One that is no text is left out.
fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-"))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn accepted(id: RequestId, status: &str) -> Response {
    let body = Json(json!({ "requestId": id, "status": status }));
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::LOCATION, format!("/valuation/{id}/status")),
        (header::RETRY_AFTER, "1".to_owned()),
        (
            header::HeaderName::from_static("x-request-id"),
            id.to_string(),
        ),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Waits for the end of a request: its response, its failure, or 202 when that takes too long
/// or this process is to end.
async fn outcome(api: &Api, id: RequestId, mut waiter: Waiter<'_>) -> Result<Response, Problem> {
    let ended = async {
        loop {
            waiter.woken().await;
            let last = api.log.last(id).await?;
            if last.is_some_and(|commit| commit.is_terminal()) {
                return Ok::<(), Problem>(());
            }
        }
    };
    tokio::select! {
        ended = tokio::time::timeout(api.sync_wait, ended) => match ended {
            Ok(ended) => ended?,
            Err(_) => return Ok(accepted(id, "pending")),
        },
        () = api.shutdown.softly() => return Ok(accepted(id, "pending")),
    }
    let commits = api.log.read(id, 0).await?;
    let view = projections::fold(None, commits.iter().flat_map(nats::Commit::recorded))
        .ok_or_else(|| Problem::unknown(id))?;
    api.seen.insert(id, view.seq);
    match (view.status, &view.response, &view.failure) {
        (Status::Succeeded, Some(response), _) => Ok(xml(id, api.document(id, response).await?)),
        (Status::Failed, _, Some(failure)) => {
            let body = Json(failure_body(id, failure));
            Ok((StatusCode::INTERNAL_SERVER_ERROR, body).into_response())
        }
        (Status::Cancelled, ..) => {
            let message = "the request was cancelled";
            Err(Problem::new(StatusCode::CONFLICT, "cancelled", message).of(id))
        }
        _ => Ok(accepted(id, "pending")),
    }
}
