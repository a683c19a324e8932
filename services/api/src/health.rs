use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use operations::Readiness;
use projections::permissions::Actor;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::{Auth, Details};
use crate::http::problem::{Problem, ProblemBody};
use crate::state::Api;

/// The health of a process.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `alive`; or `ready`, `degraded`, `stopping`, `denied` or `unavailable`.
    status: &'static str,
    /// The dependencies, each with `ok` or its fault.
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
    /// The permissions that NATS and Redis do not grant to this process although its role needs
    /// them, and what NATS has denied lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    denied: Option<Value>,
    /// How many messages in the log this process has passed over, because they are no commits.
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_over: Option<usize>,
    /// What the settings allow though it is unsafe.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsafe_settings: Option<Vec<String>>,
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
        denied: None,
        passed_over: None,
        unsafe_settings: None,
    })
}

/// Ready: everything this process needs answers too; else it says what does not. Without Redis it is
/// `degraded`: every call is answered from the log.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "Everything that is needed answers; `degraded` where Redis does not, or takes no writes", body = Health),
        (status = 503, description = "Something does not, or this process is stopping", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn ready(
    State(api): State<Arc<Api>>,
    Details(details): Details,
    Extension(auth): Extension<Arc<Auth>>,
) -> Response {
    let shards = api.log.shards();
    let found = Readiness::look(&api.connection, Some((&api.store, Actor::Api)), shards).await;
    let stopping = api.shutdown.is_soft();
    // Late and stopped views do not make the process unready: requests go on without them.
    let unprojected = found.oldest_unprojected.map(|age| age.as_secs());
    let (mut dependencies, stopped) = (found.dependencies(), &found.stopped_views);
    // Without room, submissions are refused, and everything else goes on.
    let full = api.storage.reason();
    let room = if full.is_empty() { "ok" } else { &full };
    dependencies.insert("storage", room.to_owned());
    let unanswered = api.log.unanswered();
    if unanswered > 0 {
        let said = format!(
            "the last {unanswered} commits had no answer: if the disk of a NATS server was full, \
             restart the server once there is room"
        );
        dependencies.insert("log", said);
    }
    // Whoever has been revoked meanwhile can still call.
    if let Some(fault) = auth.keys_fault() {
        dependencies.insert("keys", fault);
    }
    if found.has_dependencies() && found.is_permitted() && unanswered == 0 && !stopping {
        let body = Health {
            status: if found.is_degraded() {
                "degraded"
            } else {
                "ready"
            },
            dependencies: details.then_some(dependencies),
            stopped_views: details.then(|| json!(stopped)),
            oldest_unprojected_seconds: unprojected.filter(|_| details),
            denied: found.denied().filter(|_| details),
            passed_over: Some(found.passed_over).filter(|count| details && *count > 0),
            unsafe_settings: details
                .then(|| auth.unsafe_settings().to_vec())
                .filter(|list| !list.is_empty()),
        };
        return Json(body).into_response();
    }
    let (status, message) = if stopping {
        ("stopping", "this process is stopping")
    } else if found.has_dependencies() && !found.is_permitted() {
        ("denied", "NATS does not grant this process what it needs")
    } else {
        ("unavailable", "a dependency does not answer")
    };
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, status, message);
    let problem = problem.with("status", json!(status));
    if !details {
        return problem.into_response();
    }
    problem
        .with("dependencies", json!(dependencies))
        .with("stoppedViews", json!(stopped))
        .with("denied", json!(found.denied()))
        .with("oldestUnprojectedSeconds", json!(unprojected))
        .into_response()
}
