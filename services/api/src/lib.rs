//! The HTTP API: it accepts documents and serves the state of their requests.

mod admission;
mod answers;
pub mod auth;
mod bulk;
mod dead_letters;
mod docs;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod http;
mod router;
mod schemas;
mod state;
mod storage;
mod tenancy;
mod valuation;
mod valuations;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use http::problem::Problem;
use http::serve::Limits;
use http::tls::Tls;
use nats::{Connection, Log};
use projections::Store;
use runtime::{
    ApiConfig, Deployment, InProcess, Settings, Shutdown, TaskTypes, Tenants, WebhooksConfig,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

pub use auth::{Auth, Details, guarded};
pub use router::{openapi, router};

pub use state::Api;
pub use tenancy::InForce as QuotasInForce;

/// Why the API cannot run.
#[derive(Debug)]
pub enum Error {
    /// The server cannot listen on the address.
    Listen(SocketAddr, std::io::Error),
    /// The certificate of the listener cannot be used.
    Tls(std::io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(
                f,
                "cannot listen on {address} ({error}): free it, or set HTTP_PORT"
            ),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// How many connections the kernel queues until the server accepts them, as far as the kernel's own
/// limit allows. Beyond it every caller waits a second before it tries again.
const LISTEN_BACKLOG: u32 = 4_096;

/// How often the number of waiting callers is told to the metrics.
const TELL_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// The settings that the API works with.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// Its own.
    pub api: &'a ApiConfig,
    /// The facts of the deployment.
    pub deployment: &'a Deployment,
    /// Whether and where callbacks may be sent.
    pub webhooks: &'a WebhooksConfig,
    /// The task types whose queues admission reads.
    pub task_types: &'a TaskTypes,
    /// The tenants and their quotas.
    pub tenants: &'a Tenants,
}

impl<'a> Config<'a> {
    /// The parts of all settings.
    #[must_use]
    pub fn of(settings: &'a Settings) -> Self {
        Self {
            api: &settings.api,
            deployment: &settings.deployment,
            webhooks: &settings.webhooks,
            task_types: &settings.task_types,
            tenants: &settings.tenants,
        }
    }
}

/// Binds the address before anything else starts, so that a taken port is the first error reported.
pub fn bind(config: &ApiConfig) -> Result<TcpListener, Error> {
    let address = SocketAddr::new(config.http_host, config.http_port);
    listen(address).map_err(|error| Error::Listen(address, error))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Allow a port whose last connections are still closing, as `TcpListener::bind` does.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// The answer of another listener to a call that it refuses.
#[must_use]
pub fn problem(status: StatusCode, code: &str, message: &str) -> axum::response::Response {
    Problem::new(status, code, message).into_response()
}

/// The answer of another listener whose process is not ready, with these members. It has the form of
/// every error.
#[must_use]
pub fn not_ready(status: &str, members: &serde_json::Value) -> axum::response::Response {
    let message = "this process is not ready";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, status, message);
    let members = members.as_object().into_iter().flatten();
    let problem = members.fold(problem, |problem, (name, value)| {
        problem.with(name, value.clone())
    });
    problem.into_response()
}

/// Serves another router on another listener, with the TLS and the limits of the API, until shutdown.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    config: &ApiConfig,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let tls = Tls::of(config).map_err(Error::Tls)?;
    let limits = Limits {
        drain_delay: std::time::Duration::ZERO,
        ..config.into()
    };
    http::serve::serve(listener, router, limits, tls, shutdown).await;
    Ok(())
}

#[allow(clippy::too_many_arguments)] // Each is a part of the process that starts the role.
/// Serves until shutdown. Then lets the waiting callers have their answers.
pub async fn run(
    connection: Connection,
    log: Log,
    store: Store,
    in_process: InProcess,
    listener: TcpListener,
    config: Config<'_>,
    auth: Arc<Auth>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let tls = Tls::of(config.api).map_err(Error::Tls)?;
    let api = Arc::new(Api::new(
        connection.clone(),
        log,
        store,
        in_process,
        config,
        &shutdown,
    ));
    let mut beside = JoinSet::new();
    let (following, until) = (api.clone(), shutdown.clone());
    let shards = config.deployment.shards;
    beside.spawn(async move {
        let (waiters, open) = (&following.waiters, &following.open);
        waiters.follow(&connection, shards, open, &until).await;
    });
    let (counting, until) = (api.clone(), shutdown.clone());
    beside.spawn(async move { counting.recount(&until).await });
    let (watching, until) = (api.clone(), shutdown.clone());
    let pulse = api.metrics.pulses.begin("api", "admission");
    beside.spawn(async move {
        let Api {
            admission,
            connection,
            shares: of_tenants,
            ..
        } = &*watching;
        admission.watch(connection, of_tenants, pulse, &until).await;
    });
    let (telling, until) = (api.clone(), shutdown.clone());
    beside.spawn(async move {
        telling.waiters.tell(&telling.metrics.http);
        while until.pause(TELL_EVERY).await {
            telling.waiters.tell(&telling.metrics.http);
        }
    });
    let (looking, until) = (api.clone(), shutdown.clone());
    beside.spawn(async move { looking.storage.watch(&looking.connection, &until).await });
    let limits = config.api.into();
    http::serve::serve(listener, router(api, auth), limits, tls, &shutdown).await;
    beside.shutdown().await;
    Ok(())
}
