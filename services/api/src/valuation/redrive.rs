use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::answers::RedrivenBody;
use crate::auth::Admitted;
use crate::http::body::PostedJson;
use crate::http::input::{self, WhyBody};
use crate::http::problem::{Problem, ProblemBody};
use crate::state::Api;
use crate::valuation::read::{parse_id, with_sequence};

/// Run what failed again.
#[utoipa::path(
    post, path = "/valuation/{id}/redrive", tag = "operations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
    ),
    request_body = WhyBody,
    responses(
        (status = 202, description = "It runs again", body = RedrivenBody, headers(("Location" = String), ("Fanfold-Sequence" = u64))),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "A quota of the tenant is used up", body = ProblemBody, content_type = "application/problem+json", headers(("Retry-After" = u64), ("RateLimit" = String), ("RateLimit-Policy" = String))),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn redrive(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(body): PostedJson,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let why = input::json::<WhyBody>(&body.bytes)?.check(&caller)?;
    api.check_tenant(&caller, id).await?;
    if let Some(quotas) = api.quotas.of(&caller.tenant()) {
        quotas.submit()?;
    }
    let redrive = api.operations.redrive(id, why).await;
    let receipt = redrive.map_err(|error| input::refused(id, error))?;
    let redriven = api.operations.redriven(id, receipt).await?;
    tracing::info!(request = %id, "redriven");
    let body = Json(json!({
        "requestId": id,
        "status": "redriven",
        "run": redriven.as_ref().map(|redriven| redriven.run),
        "group": redriven.as_ref().map(|redriven| redriven.group),
        "tasks": redriven.as_ref().map(|redriven| &redriven.tasks),
    }));
    let location = [(header::LOCATION, format!("/valuation/{id}/status"))];
    let response = (StatusCode::ACCEPTED, location, body).into_response();
    Ok(with_sequence(response, receipt.sequence))
}
