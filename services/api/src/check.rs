//! The dry run: what a document would become, with no side effect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use domain::document::{Document, Limits, Preview};

use crate::failure::Problem;
use crate::state::Api;
use crate::submit::{check_body, check_content_type};

/// `POST /valuation/check`
pub async fn check(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Preview>, Problem> {
    check_content_type(&headers)?;
    let body = check_body(&api, body)?;
    let limits = Limits {
        max_bytes: api.payload_max_bytes,
        ..Limits::default()
    };
    // Its tasks are made and thrown away, which takes as long as they are many.
    let preview = tokio::task::spawn_blocking(move || -> Result<Preview, Problem> {
        Ok(Document::accept(&body, &limits)?.preview())
    });
    let preview = preview.await.map_err(|error| {
        tracing::error!(%error, "a dry run ended");
        let message = "the document could not be checked";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    preview.map(Json)
}
