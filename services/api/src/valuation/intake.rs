//! The facts about a submitted document that go into the log.

use std::num::NonZeroU32;

use axum::http::StatusCode;
use bytes::Bytes;
use domain::derivation::{self, first_group};
use domain::document::{Document, Effort, Limits};
use domain::request::GroupOutline;
use runtime::{Cost, PARSE_INLINE_MAX_BYTES, Pool};

use crate::http::problem::Problem;

/// The API leaves the start of a larger document to the orchestrator.
const BEGUN_MAX_BYTES: usize = 64 * 1024;

/// The facts about a document that the event `received` records.
pub struct Outline {
    pub fingerprint: String,
    pub groups: Vec<GroupOutline>,
    /// The number of tasks in the first group, if the group can start at once. The orchestrator
    /// starts a large document, and a document whose first group has references.
    pub first_tasks: Option<NonZeroU32>,
    /// The document itself, for the code that continues with the request.
    pub document: Document,
}

/// Checks a document and outlines it.
pub async fn outline(pool: &Pool, body: Bytes) -> Result<Outline, Problem> {
    let size = body.len();
    if size <= PARSE_INLINE_MAX_BYTES {
        return outlined(&body, Effort::Short);
    }
    on_pool(pool, size, move || outlined(&body, Effort::Medium)).await?
}

fn outlined(body: &[u8], effort: Effort) -> Result<Outline, Problem> {
    // The code that read the body has already checked its size.
    let document = Document::accept(body, &Limits::accepted())?;
    let begins_at_once = body.len() <= BEGUN_MAX_BYTES;
    Ok(Outline {
        fingerprint: nats::sha256_of(|take| document.canonical_pieces(take)),
        groups: derivation::outline(&document),
        first_tasks: begins_at_once
            .then(|| first_group(&document, effort))
            .flatten(),
        document,
    })
}

/// Runs work on this many bytes of documents in the pool.
pub async fn on_pool<T: Send + 'static>(
    pool: &Pool,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    at_cost(pool, Cost::of_bytes(bytes), work).await
}

/// Runs work in the pool.
pub async fn at_cost<T: Send + 'static>(
    pool: &Pool,
    cost: Cost,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    pool.run(cost, work).await.map_err(|error| {
        tracing::error!(%error, "the work on a document failed");
        let message = "the server could not process the document";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })
}
