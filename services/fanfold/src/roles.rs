//! The roles of one process, each with a connection of its own.

use std::time::Duration;

use anyhow::Context as _;
use nats::{Connection, Log, Options, Topology};
use projections::Store;
use runtime::{Settings, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::command_line::Role;
use crate::health::{self, Health};

/// The streams that these settings ask for.
fn topology(settings: &Settings) -> Topology {
    Topology {
        shards: settings.shards,
        replicas: settings.replicas,
        log_age: Duration::from_secs(settings.log_max_age_seconds),
        task_types: settings.task_types.names(),
        task_lease: Duration::from_millis(settings.task_lease_ms),
        takeover_after: Duration::from_millis(settings.takeover_after_ms),
        ack_wait: Duration::from_millis(settings.ack_wait_ms),
        ..Topology::default()
    }
}

async fn connect(settings: &Settings, role: Role) -> anyhow::Result<Connection> {
    let options = Options::new(&settings.nats_url, format!("fanfold-{}", role.name()));
    Ok(Connection::open(&options).await?)
}

async fn views(settings: &Settings) -> anyhow::Result<Store> {
    let connection = projections::Connection::open(&settings.redis_url).await?;
    let keep = Duration::from_secs(settings.request_ttl_seconds);
    Ok(Store::new(connection, keep))
}

/// The roles that run, to be waited for.
pub type Running = JoinSet<anyhow::Result<()>>;

/// Where this process listens.
pub struct Listeners {
    pub api: Option<TcpListener>,
    pub health: Option<TcpListener>,
}

/// Starts the roles that this process has.
pub async fn start(
    role: Role,
    settings: &Settings,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> anyhow::Result<Running> {
    let declared = connect(settings, role).await?;
    topology(settings).declare(&declared).await?;
    let mut running = JoinSet::new();
    if let Some(listener) = listeners.health {
        let store = if role.includes(Role::Projector) {
            Some(views(settings).await?)
        } else {
            None
        };
        let health = Health::new(role, declared, store, settings, shutdown);
        running.spawn(health::serve(listener, health));
    } else {
        declared.drain().await;
    }
    if role.includes(Role::Orchestrator) {
        let connection = connect(settings, Role::Orchestrator).await?;
        let log = Log::new(connection.clone(), settings.shards);
        let (settings, shutdown) = (settings.clone(), shutdown.clone());
        running.spawn(async move {
            let ran = orchestrator::run(connection, log, &settings, shutdown).await;
            ran.context("orchestrator")
        });
    }
    if role.includes(Role::Projector) {
        let connection = connect(settings, Role::Projector).await?;
        let store = views(settings).await?;
        let log = Log::new(connection.clone(), settings.shards);
        let (settings, shutdown) = (settings.clone(), shutdown.clone());
        running.spawn(async move {
            let ran = projector::run(connection, log, store, &settings, shutdown).await;
            ran.context("projector")
        });
    }
    if role.includes(Role::Worker) {
        let connection = connect(settings, Role::Worker).await?;
        let (settings, shutdown) = (settings.clone(), shutdown.clone());
        running.spawn(async move {
            let ran = worker::run(connection, &settings, shutdown).await;
            ran.context("worker")
        });
    }
    if let Some(listener) = listeners.api {
        let connection = connect(settings, Role::Api).await?;
        let store = views(settings).await?;
        let log = Log::new(connection.clone(), settings.shards);
        let (settings, shutdown) = (settings.clone(), shutdown.clone());
        running.spawn(async move {
            let ran = api::run(connection, log, store, listener, &settings, shutdown).await;
            ran.context("api")
        });
    }
    Ok(running)
}

/// Waits until every role has ended. One that ends by itself takes the process down.
pub async fn wait(mut running: Running, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = ended.context("a role broke").and_then(|ended| ended);
        let early = !shutdown.is_soft();
        shutdown.soft();
        if first.is_ok() {
            first = match ended {
                Ok(()) if early => Err(anyhow::anyhow!("a role ended by itself")),
                ended => ended,
            };
        }
    }
    first
}
