use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::state::Api;

/// How long a dependency may take to answer before it counts as missing.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// Alive: this process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Ready: everything this process needs answers too; else it says what does not.
pub async fn ready(State(api): State<Arc<Api>>) -> Response {
    let (nats, redis) = tokio::join!(check(api.connection.ping()), check(api.store.ping()),);
    let stopping = api.shutdown.is_soft();
    let ready = nats.is_ok() && redis.is_ok() && !stopping;
    let word = |checked: Result<(), String>| checked.err().unwrap_or_else(|| "ok".into());
    let body = json!({
        "status": if ready { "ready" } else if stopping { "stopping" } else { "unavailable" },
        "dependencies": { "nats": word(nats), "redis": word(redis) },
    });
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

async fn check<E: std::fmt::Display>(
    answer: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(DEPENDENCY_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEPENDENCY_TIMEOUT:?}")),
    }
}
