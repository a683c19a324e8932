//! The roles of one process.

use std::time::Duration;

use anyhow::Context as _;
use nats::{Connection, Log, Options, Queues, Topology};
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
        tasks_max_bytes: settings.tasks_max_bytes,
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

/// Starts the roles that this process has. They share one connection to NATS and one log: what
/// they publish at the same time goes together. Only the projector has a connection of its own:
/// no commit is to wait behind its bursts of public events.
pub async fn start(
    role: Role,
    settings: &Settings,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> anyhow::Result<Running> {
    let connection = connect(settings, role).await?;
    let topology = topology(settings);
    topology.declare(&connection).await?;
    let shared = Shared {
        queues: Queues::new(connection.clone(), topology),
        log: Log::new(connection.clone(), settings.shards),
        connection,
        settings: settings.clone(),
        shutdown: shutdown.clone(),
    };
    let mut running = JoinSet::new();
    if let Some(listener) = listeners.health {
        let store = if role.includes(Role::Projector) {
            Some(views(settings).await?)
        } else {
            None
        };
        let health = Health::new(role, shared.connection.clone(), store, settings, shutdown);
        running.spawn(health::serve(listener, health));
    }
    if role.includes(Role::Orchestrator) {
        running.spawn(shared.clone().orchestrator());
    }
    if role.includes(Role::Projector) {
        running.spawn(shared.clone().projector(views(settings).await?));
        if !settings.webhook_secret.is_empty() {
            running.spawn(shared.clone().webhooks());
        }
    }
    if role.includes(Role::Worker) {
        running.spawn(shared.clone().worker());
    }
    if let Some(listener) = listeners.api {
        running.spawn(shared.clone().api(views(settings).await?, listener));
    }
    if running.is_empty() {
        // An API that is not to listen has nothing else to do.
        running.spawn(shared.until_asked_to_end());
    }
    Ok(running)
}

/// What the roles of a process share.
#[derive(Clone)]
struct Shared {
    connection: Connection,
    log: Log,
    queues: Queues,
    settings: Settings,
    shutdown: Shutdown,
}

impl Shared {
    async fn orchestrator(self) -> anyhow::Result<()> {
        let Self {
            connection,
            log,
            queues,
            settings,
            shutdown,
        } = self;
        let ran = orchestrator::run(connection, log, queues, &settings, shutdown);
        ran.await.context("orchestrator")
    }

    async fn projector(self, store: Store) -> anyhow::Result<()> {
        let Self {
            log,
            settings,
            shutdown,
            ..
        } = self;
        let connection = connect(&settings, Role::Projector).await?;
        let ran = projector::run(connection, log, store, &settings, shutdown);
        ran.await.context("projector")
    }

    async fn webhooks(self) -> anyhow::Result<()> {
        let ran = webhooks::run(self.connection, self.log, &self.settings, self.shutdown);
        ran.await.context("webhooks")
    }

    async fn worker(self) -> anyhow::Result<()> {
        let ran = worker::run(self.connection, &self.settings, self.shutdown);
        ran.await.context("worker")
    }

    async fn api(self, store: Store, listener: TcpListener) -> anyhow::Result<()> {
        let Self {
            connection,
            log,
            settings,
            shutdown,
            ..
        } = self;
        let ran = api::run(connection, log, store, listener, &settings, shutdown);
        ran.await.context("api")
    }

    async fn until_asked_to_end(self) -> anyhow::Result<()> {
        self.shutdown.softly().await;
        Ok(())
    }
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
