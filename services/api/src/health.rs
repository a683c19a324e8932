use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::failure::Problem;
use crate::state::Api;

/// How long a dependency may take to answer before it counts as missing.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// Alive: this process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Ready: everything this process needs answers too; else it says what does not.
pub async fn ready(State(api): State<Arc<Api>>) -> Response {
    let (nats, redis, stopped) = tokio::join!(
        check(api.connection.ping()),
        check(api.store.ping()),
        timeout(DEPENDENCY_TIMEOUT, api.store.stopped_views()),
    );
    // The views that are stopped take nothing from the requests that go on.
    let stopped = stopped.ok().and_then(Result::ok).unwrap_or_default();
    let stopping = api.shutdown.is_soft();
    let ready = nats.is_ok() && redis.is_ok() && !stopping;
    let word = |checked: Result<(), String>| checked.err().unwrap_or_else(|| "ok".into());
    let body = json!({
        "status": if ready { "ready" } else if stopping { "stopping" } else { "unavailable" },
        "dependencies": { "nats": word(nats), "redis": word(redis) },
        "stoppedViews": stopped,
    });
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

/// What is to be watched, in the text form of Prometheus.
pub async fn metrics(State(api): State<Arc<Api>>) -> Result<String, Problem> {
    let stopped = api.store.stopped_views().await.unwrap_or_default();
    Ok(api.watch.metrics(stopped.len()).await?)
}

async fn check<E: std::fmt::Display>(
    answer: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(DEPENDENCY_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEPENDENCY_TIMEOUT:?}")),
    }
}
