//! Reading a document that is submitted, and what is to be said of it.

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use domain::document::{Document, Effort, Limits};
use domain::request::GroupOutline;
use futures::StreamExt;
use runtime::{Cost, PARSE_INLINE_MAX_BYTES, Pool};

use crate::failure::Problem;
use crate::state::Api;

/// So much of a body must be there for what it announces to be believed.
const ROOM_FROM_BYTES: usize = 64 * 1024;
/// A body is read to its end, though it is refused, up to so many times what may be sent.
const DROPPED_FACTOR: usize = 4;

/// A larger document is left to the orchestrator to begin with.
const BEGUN_MAX_BYTES: usize = 64 * 1024;

/// What is said of a document in `received`.
pub struct Outline {
    pub fingerprint: String,
    pub groups: Vec<GroupOutline>,
    /// The number of the first group's tasks, where it can begin at once: a large document, or
    /// one whose first group refers to something, is left to the orchestrator.
    pub first_tasks: Option<u32>,
    /// The document itself, for whoever goes on with the request.
    pub document: Document,
}

/// The document of a submission, decompressed by now.
pub async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    check_content_type(headers)?;
    let reading = collect(body, api.payload_max_bytes);
    let body = match tokio::time::timeout(api.body_timeout, reading).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            let most = api.payload_max_bytes;
            let message = format!("the document is larger than PAYLOAD_MAX_BYTES, {most} bytes");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Problem::new(status, "payload-too-large", message));
        }
        Ok(Err(error)) => return Err(unreadable(&error)),
        Err(_) => {
            let message = format!("the body did not arrive within {:?}", api.body_timeout);
            let status = StatusCode::REQUEST_TIMEOUT;
            return Err(Problem::new(status, "body-too-slow", message));
        }
    };
    if body.is_empty() {
        let message = "the body is empty: send a VNML document";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty-body", message));
    }
    Ok(body)
}

/// The whole body; none where it is larger than `most`. The rest of what is somewhat larger is
/// read and dropped: whoever still sends would not read the answer.
async fn collect(body: Body, most: usize) -> Result<Option<Bytes>, axum::Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(most);
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut passed = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        passed += chunk.len();
        if passed <= most {
            // Room is made at once for what is announced, where some of it has come.
            if passed > ROOM_FROM_BYTES {
                bytes.reserve(
                    chunk
                        .len()
                        .max(announced.min(most).saturating_sub(bytes.len())),
                );
            }
            bytes.extend_from_slice(&chunk);
        } else if passed > most.saturating_mul(DROPPED_FACTOR) {
            break;
        }
    }
    Ok((passed <= most).then(|| bytes.freeze()))
}

fn unreadable(error: &axum::Error) -> Problem {
    tracing::debug!(%error, "a body could not be read");
    let message = "the body could not be read: it ended early, or is not in its Content-Encoding";
    Problem::new(StatusCode::BAD_REQUEST, "body-unreadable", message)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
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

/// Checks a document, and says what is in it.
pub async fn outline(pool: &Pool, body: Bytes) -> Result<Outline, Problem> {
    let size = body.len();
    if size <= PARSE_INLINE_MAX_BYTES {
        return outlined(&body, Effort::Short);
    }
    on_pool(pool, size, move || outlined(&body, Effort::Medium)).await?
}

fn outlined(body: &[u8], effort: Effort) -> Result<Outline, Problem> {
    // How many bytes it may have was looked at while it was read.
    let document = Document::accept(body, &Limits::accepted())?;
    let groups = (0..document.groups()).map(|group| GroupOutline {
        name: document.group_name(group).map(str::to_owned),
        valuations: u32::try_from(document.valuations(group)).unwrap_or(u32::MAX),
    });
    let begins_at_once = body.len() <= BEGUN_MAX_BYTES;
    Ok(Outline {
        fingerprint: nats::sha256_of(|take| document.canonical_pieces(take)),
        groups: groups.collect(),
        first_tasks: begins_at_once
            .then(|| document.first_tasks(effort))
            .flatten(),
        document,
    })
}

/// From how many bytes on working on a document is costly.
const COSTLY_BYTES: usize = 1024 * 1024;

/// Has the pool work on so many bytes of documents.
pub async fn on_pool<T: Send + 'static>(
    pool: &Pool,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let cost = if bytes <= COSTLY_BYTES {
        Cost::Small
    } else {
        Cost::Costly
    };
    at_cost(pool, cost, work).await
}

/// Has the pool do a piece of work.
pub async fn at_cost<T: Send + 'static>(
    pool: &Pool,
    cost: Cost,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    pool.run(cost, work).await.map_err(|error| {
        tracing::error!(%error, "work on a document ended");
        let message = "the document could not be worked on";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })
}
