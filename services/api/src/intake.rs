//! What is to be said of a document that is submitted.

use axum::http::StatusCode;
use bytes::Bytes;
use domain::document::{Document, Limits};
use domain::request::GroupOutline;
use runtime::PARSE_INLINE_MAX_BYTES;

use crate::failure::Problem;

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

/// Checks a document, and says what is in it.
pub async fn outline(body: Bytes) -> Result<Outline, Problem> {
    let small = body.len() <= PARSE_INLINE_MAX_BYTES;
    let read = move || -> Result<Outline, Problem> {
        // How many bytes it may have was looked at while it was read.
        let document = Document::accept(&body, &Limits::accepted())?;
        let groups = (0..document.groups()).map(|group| GroupOutline {
            name: document.group_name(group).map(str::to_owned),
            valuations: u32::try_from(document.valuations(group)).unwrap_or(u32::MAX),
        });
        Ok(Outline {
            fingerprint: nats::sha256_of(|take| document.canonical_pieces(take)),
            groups: groups.collect(),
            first_tasks: small.then(|| document.first_tasks()).flatten(),
            document,
        })
    };
    if small { read() } else { aside(read).await? }
}

/// Runs what takes long beside the event loop.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on a document ended");
        let message = "the document could not be worked on";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })
}
