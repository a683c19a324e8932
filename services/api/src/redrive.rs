use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::request::Event;
use serde_json::json;

use crate::failure::Problem;
use crate::input::{self, WhyBody};
use crate::read::parse_id;
use crate::state::Api;

/// `POST /valuation/{id}/redrive`
pub async fn redrive(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let why = input::json::<WhyBody>(&body)?.check()?;
    let redriven = api.operator.redrive(id, why).await;
    api.log.forget(id);
    let receipt = redriven.map_err(|error| input::refused(id, error))?;
    api.seen.insert(id, receipt.sequence);
    let commits = api.log.read(id, receipt.sequence - 1).await?;
    let redriven = commits.into_iter().flat_map(|commit| commit.events);
    let redriven = redriven.into_iter().find_map(|event| match event {
        Event::Redriven(redriven) => Some(redriven),
        _ => None,
    });
    tracing::info!(request = %id, "redriven");
    let body = Json(json!({
        "requestId": id,
        "status": "redriven",
        "run": redriven.as_ref().map(|redriven| redriven.run),
        "group": redriven.as_ref().map(|redriven| redriven.group),
        "tasks": redriven.as_ref().map(|redriven| &redriven.tasks),
    }));
    let location = [(header::LOCATION, format!("/valuation/{id}/status"))];
    Ok((StatusCode::ACCEPTED, location, body).into_response())
}
