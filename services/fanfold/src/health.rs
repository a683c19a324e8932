//! `/healthz`, `/readyz` and `/metrics` of a role that is not the API, on `HEALTH_PORT`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use nats::Connection;
use projections::{StoppedView, Store};
use runtime::{Settings, Shutdown, StuckWatch};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::command_line::Role;

/// How long a dependency may take to answer before it counts as missing.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// What is looked at.
pub struct Health {
    role: Role,
    connection: Connection,
    /// The views, for a role that writes them.
    store: Option<Store>,
    watch: StuckWatch,
    shards: u8,
    shutdown: Shutdown,
}

impl Health {
    pub fn new(
        role: Role,
        connection: Connection,
        store: Option<Store>,
        settings: &Settings,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            role,
            watch: StuckWatch::of_open(
                connection.clone(),
                settings.shards,
                settings.request_timeout,
            ),
            shards: settings.shards,
            connection,
            store,
            shutdown: shutdown.clone(),
        }
    }

    /// None: the broker did not say in time.
    async fn oldest_unprojected(&self) -> Option<Duration> {
        runtime::oldest_unprojected(&self.connection, self.shards, DEPENDENCY_TIMEOUT).await
    }

    async fn stopped(&self) -> Vec<StoppedView> {
        let Some(store) = &self.store else {
            return Vec::new();
        };
        let stopped = timeout(DEPENDENCY_TIMEOUT, store.stopped_views()).await;
        stopped.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// Takes the port before anything else is started; none where it is 0.
pub async fn bind(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    if settings.health_port == 0 {
        return Ok(None);
    }
    let host = settings.http_host;
    let address = SocketAddr::new(host, settings.health_port);
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("HEALTH_PORT: {address}"))?;
    Ok(Some(listener))
}

/// Serves until the process is asked to end.
pub async fn serve(listener: TcpListener, health: Health) -> anyhow::Result<()> {
    let shutdown = health.shutdown.clone();
    let router = Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "alive" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(health));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.softly().await })
        .await
        .context("health")
}

/// Ready: what this role needs answers, and it holds no view back.
async fn ready(State(health): State<Arc<Health>>) -> Response {
    let nats = timeout(DEPENDENCY_TIMEOUT, health.connection.ping()).await;
    let nats = answered(nats.map(|answer| answer.map_err(|error| error.to_string())));
    let redis = match &health.store {
        Some(store) => {
            let redis = timeout(DEPENDENCY_TIMEOUT, store.ping()).await;
            answered(redis.map(|answer| answer.map_err(|error| error.to_string())))
        }
        None => "not needed".to_owned(),
    };
    let stopped = health.stopped().await;
    let unprojected = health.oldest_unprojected().await;
    let status = if health.shutdown.is_soft() {
        "stopping"
    } else if nats != "ok" || (redis != "ok" && health.store.is_some()) {
        "unavailable"
    } else if stopped.is_empty() {
        "ready"
    } else {
        "views-stopped"
    };
    let code = if status == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "status": status,
        "role": health.role.name(),
        "dependencies": { "nats": nats, "redis": redis },
        "stoppedViews": stopped,
        "oldestUnprojectedSeconds": unprojected.map(|age| age.as_secs()),
    });
    (code, Json(body)).into_response()
}

fn answered(answer: Result<Result<(), String>, tokio::time::error::Elapsed>) -> String {
    match answer {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(error)) => error,
        Err(_) => format!("no answer within {DEPENDENCY_TIMEOUT:?}"),
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let stopped = health.stopped().await.len();
    let unprojected = health.oldest_unprojected().await;
    match health.watch.metrics(stopped, unprojected).await {
        Ok(text) => text.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
