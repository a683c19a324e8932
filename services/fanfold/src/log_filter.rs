//! `/log-filter` of the admin listener: another filter of the logs for a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::auth::gated;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use domain::access::Action;
use runtime::LogFilter;
use serde::Deserialize;
use serde_json::json;

/// The filter of the logs, and how long another one may hold.
#[derive(Clone, Debug)]
pub struct Logs {
    pub filter: Arc<LogFilter>,
    pub max: Duration,
}

/// The filter that a caller wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    filter: String,
    /// How long it should hold; without it, as long as it may.
    seconds: Option<u64>,
}

pub fn router<S>(logs: Logs) -> Router<S> {
    let route = get(tell).put(change);
    Router::new()
        .route("/log-filter", gated(Action::Administer, route))
        .with_state(logs)
}

async fn tell(State(logs): State<Logs>) -> Response {
    present(&logs)
}

async fn change(State(logs): State<Logs>, Json(wanted): Json<Wanted>) -> Response {
    let refused = |message: &str| {
        let status = StatusCode::BAD_REQUEST;
        api::problem(status, "invalid-log-filter", message)
    };
    let time = wanted.seconds.map_or(logs.max, Duration::from_secs);
    if time > logs.max {
        let max = logs.max.as_secs();
        return refused(&format!("seconds: at most {max}"));
    }
    match logs.filter.set(&wanted.filter, time) {
        Ok(()) => present(&logs),
        Err(wrong) => refused(&format!("filter: {}", wrong.reason)),
    }
}

fn present(logs: &Logs) -> Response {
    let configured = logs.filter.configured();
    let Some(change) = logs.filter.change() else {
        return Json(json!({ "filter": configured })).into_response();
    };
    let left = change.until.saturating_duration_since(Instant::now());
    Json(json!({
        "filter": change.filter,
        "configured": configured,
        "secondsLeft": left.as_secs_f64().ceil(),
    }))
    .into_response()
}
