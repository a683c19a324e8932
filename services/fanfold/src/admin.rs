//! The admin listener: `/healthz`, `/readyz` and `/metrics` of this process, apart from the API's
//! public port. `up` always has one. A role has one if `ADMIN_PORT` is set, so that several roles
//! can start on one host.

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
use operations::StuckWatch;
use projections::{StoppedView, Store};
use runtime::{ProcessConfig, Settings, Shutdown};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::command_line::Role;

/// How long a dependency may take to answer before it counts as missing.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// The default port of `up`.
const USUAL_PORT: u16 = 8081;

/// The dependencies and state that the admin listener reports on.
pub struct Admin {
    role: Role,
    connection: Connection,
    /// The views, for a role that reads or writes them.
    store: Option<Store>,
    watch: StuckWatch,
    shards: u8,
    shutdown: Shutdown,
}

impl Admin {
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
                settings.deployment.shards,
                settings.deployment.request_timeout,
            ),
            shards: settings.deployment.shards,
            connection,
            store,
            shutdown: shutdown.clone(),
        }
    }

    /// The age of the oldest unprojected commit; `None` if the broker did not answer in time.
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

/// Binds the port before anything else starts. Without `ADMIN_PORT`, `up` takes the default port,
/// or a free one if that is taken.
pub async fn bind(role: Role, config: &ProcessConfig) -> anyhow::Result<Option<TcpListener>> {
    let address = |port| SocketAddr::new(config.admin_host, port);
    if let Some(port) = config.admin_port {
        let listener = TcpListener::bind(address(port)).await;
        let listener = listener.with_context(|| {
            let address = address(port);
            format!("the admin listener cannot take {address}: free it, or set ADMIN_PORT")
        })?;
        return Ok(Some(listener));
    }
    if role != Role::Up {
        return Ok(None);
    }
    if let Ok(listener) = TcpListener::bind(address(USUAL_PORT)).await {
        return Ok(Some(listener));
    }
    let listener = TcpListener::bind(address(0)).await;
    let listener = listener.with_context(|| format!("ADMIN_HOST: {}", config.admin_host))?;
    Ok(Some(listener))
}

/// Serves until the process is asked to end.
pub async fn serve(listener: TcpListener, admin: Admin) -> anyhow::Result<()> {
    let shutdown = admin.shutdown.clone();
    let router = Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "alive" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.softly().await })
        .await
        .context("the admin listener")
}

/// Reports whether this role is ready: its dependencies answer, and it has no stopped view.
async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    let nats = timeout(DEPENDENCY_TIMEOUT, admin.connection.ping()).await;
    let nats = answered(nats.map(|answer| answer.map_err(|error| error.to_string())));
    let redis = match &admin.store {
        Some(store) => {
            let redis = timeout(DEPENDENCY_TIMEOUT, store.ping()).await;
            answered(redis.map(|answer| answer.map_err(|error| error.to_string())))
        }
        None => "not needed".to_owned(),
    };
    let stopped = admin.stopped().await;
    let unprojected = admin.oldest_unprojected().await;
    let status = if admin.shutdown.is_soft() {
        "stopping"
    } else if nats != "ok" || (redis != "ok" && admin.store.is_some()) {
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
        "role": admin.role.name(),
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

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let stopped = admin.stopped().await.len();
    let unprojected = admin.oldest_unprojected().await;
    match admin.watch.metrics(stopped, unprojected).await {
        Ok(text) => text.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
