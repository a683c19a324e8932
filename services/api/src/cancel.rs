use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use domain::request::Status;
use serde_json::{Value, json};

use crate::failure::Problem;
use crate::input::{self, WhyBody};
use crate::read::parse_id;
use crate::state::Api;

/// `POST /valuation/{id}/cancel`. A cancelled request stays as it is when it is cancelled again.
pub async fn cancel(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let id = parse_id(&id)?;
    let why = input::json::<WhyBody>(&body)?.check()?;
    let cancelled = api.operator.cancel(id, why).await;
    api.log.forget(id);
    let receipt = cancelled.map_err(|error| input::refused(id, error))?;
    api.seen.insert(id, receipt.sequence);
    tracing::info!(request = %id, "cancelled");
    Ok(Json(
        json!({ "requestId": id, "status": Status::Cancelled }),
    ))
}
