//! The admin listener: `/healthz`, `/readyz`, `/metrics` and `/log-filter` of this process, and the
//! console, apart from the API's public port. `up` and `console` always have one. A role has one if `ADMIN_PORT` is set, so that several roles
//! can start on one host.

use std::net::SocketAddr;
use std::sync::Arc;

use ::console::Console;
use anyhow::Context as _;
use api::auth::{Auth, Details, gated, guarded};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use domain::access::Action;
use metrics::{Format, Metrics};
use nats::Connection;
use operations::Readiness;
use projections::Store;
use runtime::{ApiConfig, LogFilter, ProcessConfig, Settings, Shutdown};
use serde_json::json;
use tokio::net::TcpListener;

use crate::command_line::Role;
use crate::console;
use crate::log_filter::{self, Logs};

/// The first page of the console.
const HOME: &str = "/console/";
/// The default port of `up` and `console`.
pub const USUAL_PORT: u16 = 8081;

/// The dependencies and state that the admin listener reports on.
pub struct Admin {
    role: Role,
    connection: Connection,
    /// The views, for a role that reads or writes them.
    store: Option<Store>,
    shards: u8,
    /// The TLS and the limits of the API, which hold for this listener too.
    config: ApiConfig,
    auth: Arc<Auth>,
    metrics: Metrics,
    logs: Logs,
    shutdown: Shutdown,
}

impl Admin {
    pub fn new(
        role: Role,
        connection: Connection,
        store: Option<Store>,
        settings: &Settings,
        (auth, metrics, filter): (Arc<Auth>, Metrics, Arc<LogFilter>),
        shutdown: &Shutdown,
    ) -> Self {
        // A worker and the senders of webhooks and traces may not read the whole log.
        let reads_log = !matches!(role, Role::Worker | Role::Webhooks | Role::Tracer);
        let shards = if reads_log {
            settings.deployment.shards
        } else {
            0
        };
        Self {
            role,
            shards,
            connection,
            store,
            config: settings.api.clone(),
            auth,
            metrics,
            logs: Logs {
                filter,
                max: settings.process.log_filter_max,
            },
            shutdown: shutdown.clone(),
        }
    }
}

/// Binds the port before anything else starts. Without `ADMIN_PORT`, `up` and `console` take the default port,
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
    if !role.includes(Role::Console) {
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
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    console: Option<Arc<Console>>,
) -> anyhow::Result<()> {
    let (shutdown, config) = (admin.shutdown.clone(), admin.config.clone());
    let (auth, logs) = (admin.auth.clone(), admin.logs.clone());
    let filter = logs.filter.clone();
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", gated(Action::Administer, get(metrics)))
        .with_state(Arc::new(admin))
        .merge(log_filter::router(logs));
    let router = match console {
        Some(console) => router
            .route("/", get(async || Redirect::to(HOME)))
            .merge(console::router(&console)),
        None => router,
    };
    let router = guarded(router, auth);
    let served = tokio::select! {
        served = api::serve(listener, router, &config, &shutdown) => served,
        never = filter.keep() => match never {},
    };
    served.context("the admin listener failed")
}

/// Reports whether the loops of this process turn. One that does not will not turn again, so
/// whoever supervises the process should start it anew.
async fn alive(State(admin): State<Arc<Admin>>) -> Response {
    let silent = admin.metrics.pulses.silent();
    if silent.is_empty() {
        return Json(json!({ "status": "alive" })).into_response();
    }
    let silent: Vec<_> = silent
        .iter()
        .map(|silent| json!({ "role": silent.role, "loop": silent.name, "seconds": silent.time.as_secs() }))
        .collect();
    let body = json!({ "status": "hung", "silent": silent });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// Reports whether this process can work at all: it does not stop, the broker answers, and NATS
/// grants what the role needs. What is wrong besides makes it `degraded`, and ready: others would
/// do no better.
async fn ready(State(admin): State<Arc<Admin>>, Details(details): Details) -> Response {
    let store = admin
        .store
        .as_ref()
        .map(|store| (store, admin.role.at_redis()));
    let found = Readiness::look(&admin.connection, store, admin.shards).await;
    let degraded = found.degraded();
    let status = if admin.shutdown.is_soft() {
        "stopping"
    } else if !found.has_dependencies() {
        "unavailable"
    } else if !found.is_permitted() {
        "denied"
    } else if degraded.is_empty() {
        "ready"
    } else {
        "degraded"
    };
    let all = json!({
        "status": status,
        "degraded": degraded,
        "role": admin.role.name(),
        "dependencies": found.dependencies(),
        "stoppedViews": found.stopped_views,
        "denied": found.denied(),
        "passedOver": found.passed_over,
        "unsafeSettings": admin.auth.unsafe_settings(),
        "oldestUnprojectedSeconds": found.oldest_unprojected.map(|age| age.as_secs()),
    });
    let body = if details {
        all
    } else {
        json!({ "status": status })
    };
    if matches!(status, "ready" | "degraded") {
        Json(body).into_response()
    } else {
        api::not_ready(status, &body)
    }
}

/// Tells the metrics. It asks nobody, so it answers even where the broker and Redis are away.
async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let format = Format::of(accept.unwrap_or_default());
    let text = admin.metrics.exposition.text(format);
    ([(header::CONTENT_TYPE, format.media_type())], text).into_response()
}
