//! The dry run: the tasks that a document would give, with no side effect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::document::{Document, Effort, Limits, Preview};
use runtime::Cost;

use crate::answers::PreviewBody;
use crate::http::body::{Posted, PostedDocument};
use crate::http::problem::{Problem, ProblemBody};
use crate::state::Api;
use crate::valuation::intake::{at_cost, on_pool};

/// Checks a document and lists its groups, tasks and references, with no side effect.
#[utoipa::path(
    post, path = "/valuation/check", tag = "valuations",
    request_body(content((String = "application/xml"), (String = "text/xml"))),
    responses(
        (status = 200, description = "Its groups, tasks and references", body = PreviewBody),
        (status = 400, description = "The document is refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not XML, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn check(
    State(api): State<Arc<Api>>,
    PostedDocument(posted): PostedDocument,
) -> Result<Json<Preview>, Problem> {
    let Posted { bytes: body, room } = posted;
    let limits = Limits {
        max_bytes: api.payload_max_bytes,
        ..Limits::accepted()
    };
    // A dry run costs as much as a submission, so it passes the same admission control.
    let _passed = api.admission.pass()?;
    let read = {
        let body = body.clone();
        move || -> Result<Option<Preview>, Problem> {
            Ok(Document::accept(&body, &limits)?.preview(Effort::Medium))
        }
    };
    if let Some(preview) = on_pool(&api.pool, body.len(), read).await?? {
        return Ok(Json(preview));
    }
    // The dry run makes the tasks and discards them; its time grows with their number.
    let whole = move || -> Result<Option<Preview>, Problem> {
        Ok(Document::accept(&body, &limits)?.preview(Effort::Whole))
    };
    let preview = at_cost(&api.pool, Cost::Costly, whole).await??;
    drop(room);
    preview.map(Json).ok_or_else(|| {
        let message = "the server could not process the document";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })
}
