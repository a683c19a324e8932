use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::failure::{Problem, ProblemBody};
use crate::state::Api;

/// How long a dependency may take to answer before it counts as missing.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// How a process is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `alive`; or `ready`, `stopping` or `unavailable`.
    status: &'static str,
    /// What it needs, and `ok` or what is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<BTreeMap<&'static str, String>>,
    /// The views that are stopped, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    stopped_views: Option<Value>,
    /// For how many seconds the oldest commit has waited that is not in the views and the feed
    /// yet; 0 where none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_unprojected_seconds: Option<u64>,
}

/// Alive: this process answers.
#[utoipa::path(
    get, path = "/healthz", tag = "health",
    responses((status = 200, description = "This process answers", body = Health))
)]
pub async fn alive() -> Json<Health> {
    Json(Health {
        status: "alive",
        dependencies: None,
        stopped_views: None,
        oldest_unprojected_seconds: None,
    })
}

/// Ready: everything this process needs answers too; else it says what does not.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "Everything that is needed answers", body = Health),
        (status = 503, description = "Something does not, or this process is to end", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn ready(State(api): State<Arc<Api>>) -> Response {
    let (nats, redis, stopped, unprojected) = tokio::join!(
        check(api.connection.ping()),
        check(api.store.ping()),
        timeout(DEPENDENCY_TIMEOUT, api.store.stopped_views()),
        api.oldest_unprojected(),
    );
    // Late views do not make the process unready: requests go on without them.
    let unprojected = unprojected.map(|age| age.as_secs());
    // Stopped views do not make the process unready either.
    let stopped = stopped.ok().and_then(Result::ok).unwrap_or_default();
    let stopping = api.shutdown.is_soft();
    let ready = nats.is_ok() && redis.is_ok() && !stopping;
    let word = |checked: Result<(), String>| checked.err().unwrap_or_else(|| "ok".into());
    let dependencies = BTreeMap::from([("nats", word(nats)), ("redis", word(redis))]);
    if ready {
        let body = Health {
            status: "ready",
            dependencies: Some(dependencies),
            stopped_views: Some(json!(stopped)),
            oldest_unprojected_seconds: unprojected,
        };
        return Json(body).into_response();
    }
    let (status, message) = if stopping {
        ("stopping", "this process is to end")
    } else {
        ("unavailable", "something that is needed does not answer")
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, status, message)
        .with("status", json!(status))
        .with("dependencies", json!(dependencies))
        .with("stoppedViews", json!(stopped))
        .with("oldestUnprojectedSeconds", json!(unprojected))
        .into_response()
}

impl Api {
    /// Returns `None` when the broker does not answer in time.
    async fn oldest_unprojected(&self) -> Option<Duration> {
        let shards = self.log.shards();
        runtime::oldest_unprojected(&self.connection, shards, DEPENDENCY_TIMEOUT).await
    }
}

async fn check<E: std::fmt::Display>(
    answer: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(DEPENDENCY_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEPENDENCY_TIMEOUT:?}")),
    }
}
