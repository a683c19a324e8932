use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::request::Status;
use serde_json::json;

use crate::answers::CancelledBody;
use crate::auth::Admitted;
use crate::http::body::PostedJson;
use crate::http::input::{self, WhyBody};
use crate::http::problem::{Problem, ProblemBody};
use crate::state::Api;
use crate::valuation::read::{parse_id, with_sequence};

/// Stop a request. A cancelled request stays as it is when it is cancelled again.
#[utoipa::path(
    post, path = "/valuation/{id}/cancel", tag = "operations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
    ),
    request_body = WhyBody,
    responses(
        (status = 200, description = "It is cancelled", body = CancelledBody, headers(("Fanfold-Sequence" = u64))),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(body): PostedJson,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let why = input::json::<WhyBody>(&body.bytes)?.check(&caller)?;
    api.check_tenant(&caller, id).await?;
    let cancelled = api.operations.cancel(id, why).await;
    let receipt = cancelled.map_err(|error| input::refused(id, error))?;
    tracing::info!(request = %id, "cancelled");
    let body = Json(json!({ "requestId": id, "status": Status::Cancelled }));
    Ok(with_sequence(body.into_response(), receipt.sequence))
}
