//! Documents about the interfaces, for machines: the schemas of the events, and `AsyncAPI`.

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::feed;
use domain::request::EventKind;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::problem::{Problem, ProblemBody};

/// A document of another standard.
#[derive(ToSchema)]
#[schema(as = JsonDocument, value_type = Object)]
#[allow(dead_code)] // It exists for its schema.
struct JsonDocument(Value);

/// The JSON Schema of an event's data.
#[utoipa::path(
    get, path = "/schemas/{file}", tag = "documents",
    params(("file" = String, Path, description = "`<event>.v1.json`", example = "succeeded.v1.json")),
    responses(
        (status = 200, description = "The schema", body = JsonDocument, content_type = "application/schema+json"),
        (status = 404, description = "There is no such event", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn schema(Path(file): Path<String>) -> Result<Response, Problem> {
    let event = file.strip_suffix(".v1.json").and_then(EventKind::of_name);
    let schema = event.map(feed::schema);
    let schema = schema.ok_or_else(|| {
        let message = format!("there is no schema {file}");
        Problem::new(StatusCode::NOT_FOUND, "unknown-schema", message)
    })?;
    let kind = [(header::CONTENT_TYPE, "application/schema+json")];
    Ok((kind, schema.to_string()).into_response())
}

/// The lifecycle feed, as `AsyncAPI` 3.
#[utoipa::path(
    get, path = "/asyncapi.json", tag = "documents",
    responses((status = 200, description = "The document", body = JsonDocument))
)]
pub async fn asyncapi() -> Json<Value> {
    Json(feed::asyncapi())
}
