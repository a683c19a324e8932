//! The roles of one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::Auth;
use nats::{Connection, Log, Permissions, Queues, Topology};
use projections::Store;
use runtime::{Documents, InProcess, Pool, Settings, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::agreement::agree;
use crate::command_line::Role;
use crate::console;
use crate::exposure::unsafe_settings;
use crate::role_thread::RoleThread;

/// How long roles may take to end by themselves after a hard shutdown, before they are dropped.
const DROP_AFTER: Duration = Duration::from_secs(2);

/// How long a start waits for streams that have no leader, before it fails.
const START_PATIENCE: Duration = Duration::from_mins(5);
/// The pause before such a start tries again.
const START_PAUSE: Duration = Duration::from_secs(1);

/// The streams that these settings describe.
pub fn topology(settings: &Settings) -> Topology {
    let deployment = &settings.deployment;
    Topology {
        shards: deployment.shards,
        replicas: deployment.replicas,
        tasks_max_bytes: deployment.tasks_max_bytes,
        log_age: deployment.log_max_age,
        task_types: settings.task_types.names(),
        task_lease: deployment.task_lease,
        takeover_after: deployment.takeover_after,
        ack_wait: deployment.ack_wait,
        webhooks: false,
        ..Topology::default()
    }
}

async fn connect(settings: &Settings, role: Role) -> anyhow::Result<Connection> {
    let name = format!("fanfold-{}", role.name());
    let options = settings.connections.nats(name, role.actor())?;
    Ok(Connection::open(&options).await?)
}

/// Whether a process sends webhooks. `up` does only if it has a key to sign them with.
fn sends_webhooks(role: Role, settings: &Settings) -> bool {
    let signs = settings.webhooks.webhook_secret.is_some() || settings.tenants.sign_webhooks();
    role == Role::Webhooks || (role == Role::Up && signs)
}

/// What the roles of this process need at NATS.
fn needs(role: Role, settings: &Settings) -> Permissions {
    let actors = role.actors(sends_webhooks(role, settings));
    Permissions::of_all(actors, &topology(settings), &settings.connections.access())
}

async fn views(settings: &Settings) -> anyhow::Result<Store> {
    let connection = projections::Connection::open_or_later(settings.connections.redis()?).await?;
    let keep = settings.deployment.request_ttl;
    Ok(Store::new(connection, keep))
}

/// The running roles, to wait for.
pub struct Running {
    roles: JoinSet<anyhow::Result<()>>,
    /// The threads end when this is dropped.
    threads: Vec<RoleThread>,
}

/// The listeners of this process.
pub struct Listeners {
    pub api: Option<TcpListener>,
    pub admin: Option<TcpListener>,
}

/// Connects, agrees on the facts of the deployment and declares the streams, so that every role
/// finds them. Returns the settings with the agreed facts.
pub async fn declare(
    role: Role,
    settings: &Settings,
    shutdown: &Shutdown,
) -> anyhow::Result<(Connection, Settings)> {
    let connection = connect(settings, role).await?;
    connection.need(needs(role, settings)).await;
    let begun = Instant::now();
    let agreed = loop {
        let agreed = agree_and_declare(role, settings, &connection).await;
        match &agreed {
            Err(error) if may_pass(error) && begun.elapsed() < START_PATIENCE => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the broker is not ready for this start, which goes on waiting"
                );
                if !shutdown.pause(START_PAUSE).await {
                    break agreed;
                }
            }
            _ => break agreed,
        }
    };
    let lacking = connection.lacking();
    let settings = agreed.map_err(|error| match &lacking[..] {
        [] => error,
        lacking => error.context(format!(
            "NATS does not grant this user all that it needs (it lacks {})",
            lacking.join(", ")
        )),
    })?;
    Ok((connection, settings))
}

/// Whether a start may succeed later: the broker answers, and a stream has no leader now.
fn may_pass(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<nats::Error>();
    error.is_some_and(nats::Error::is_transient)
}

async fn agree_and_declare(
    role: Role,
    settings: &Settings,
    connection: &Connection,
) -> anyhow::Result<Settings> {
    let settings = agree(role, settings, connection).await?;
    // The largest result is a fact, and an executor may have a limit of its own below it.
    worker::check(&settings.task_types)?;
    let topology = Topology {
        webhooks: sends_webhooks(role, &settings),
        ..topology(&settings)
    };
    topology.declare(connection).await?;
    Ok(settings)
}

/// How the listeners of this process tell callers apart. What is unsafe but allowed is said here.
fn auth(role: Role, settings: &Settings) -> anyhow::Result<Arc<Auth>> {
    let said = unsafe_settings(role, settings);
    for what in &said {
        tracing::warn!("unsafe but allowed: {what}");
    }
    Ok(Arc::new(Auth::new(&settings.callers, said)?))
}

/// Starts the roles of this process, each on its own threads and with its own connection to NATS.
/// Only the API shares the log of the orchestrator, so that their concurrent commits go into one
/// batch.
pub async fn start(
    role: Role,
    settings: &Settings,
    mut connection: Connection,
    broker_folder: Option<PathBuf>,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> anyhow::Result<Running> {
    let mut roles = JoinSet::new();
    let auth = auth(role, settings)?;
    let mut threads = Vec::new();
    let thread = |of: Role| RoleThread::start(of.name(), role.count(), of == Role::Api);
    let needed = needs(role, settings);
    let part = |of: Role| Part::open(of, needed.clone(), settings.clone(), shutdown.clone());
    let mut log = None;
    let mut in_process = InProcess {
        documents: Documents::default(),
        pool: Pool::start().context("could not start the threads for work on documents")?,
        worker: role
            .includes(Role::Worker)
            .then(|| worker::name(&settings.worker)),
        broker_folder,
    };
    if role.includes(Role::Orchestrator) {
        let thread = threads.push_mut(thread(Role::Orchestrator)?);
        let part = thread.run(part(Role::Orchestrator)).await?;
        connection = part.connection.clone();
        log = Some(part.log.clone());
        if role.includes(Role::Api) {
            in_process.documents = Documents::shared();
        }
        let orchestrator = part.clone().orchestrator(in_process.clone());
        roles.spawn(thread.run(part.flushed(orchestrator)));
    }
    if role.includes(Role::Projector) {
        let thread = threads.push_mut(thread(Role::Projector)?);
        let part = thread.run(part(Role::Projector)).await?;
        connection = part.connection.clone();
        roles.spawn(thread.run(part.clone().flushed(part.clone().projector())));
    }
    if sends_webhooks(role, settings) {
        let thread = threads.push_mut(thread(Role::Webhooks)?);
        let part = thread.run(part(Role::Webhooks)).await?;
        connection = part.connection.clone();
        roles.spawn(thread.run(part.clone().flushed(part.webhooks())));
    }
    if role.includes(Role::Worker) {
        let thread = threads.push_mut(thread(Role::Worker)?);
        let part = thread.run(part(Role::Worker)).await?;
        connection = part.connection.clone();
        roles.spawn(thread.run(part.clone().flushed(part.worker())));
    }
    let api = listeners.api.as_ref();
    let api_address = api.map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = listeners.api {
        let listener = listener.into_std()?;
        let thread = threads.push_mut(thread(Role::Api)?);
        let mut part = thread.run(part(Role::Api)).await?;
        connection = part.connection.clone();
        part.log = log.unwrap_or(part.log);
        roles.spawn(
            thread.run(
                part.clone()
                    .flushed(part.api(in_process, listener, auth.clone())),
            ),
        );
    }
    if let Some(listener) = listeners.admin {
        let reads = [Role::Projector, Role::Api, Role::Console];
        let store = if reads.into_iter().any(|of| role.includes(of)) {
            Some(views(settings).await?)
        } else {
            None
        };
        // Without the console, the admin listener uses the connection of the last role, to check
        // what the role works with.
        if role.includes(Role::Console) {
            let listener = listener.into_std()?;
            let thread = threads.push_mut(thread(Role::Console)?);
            let part = thread.run(part(Role::Console)).await?;
            let connection = part.connection.clone();
            let admin = Admin::new(role, connection, store, settings, auth.clone(), shutdown);
            let served = part.clone().console(admin, listener, api_address);
            roles.spawn(thread.run(part.flushed(served)));
        } else {
            let admin = Admin::new(role, connection, store, settings, auth.clone(), shutdown);
            roles.spawn(admin::serve(listener, admin, None));
        }
    }
    // An API without a listener has no other work than this.
    let (watching, until) = (auth, shutdown.clone());
    roles.spawn(async move {
        watching.watch(&until).await;
        Ok(())
    });
    Ok(Running { roles, threads })
}

/// The connection, log and settings of a role.
#[derive(Clone)]
struct Part {
    connection: Connection,
    log: Log,
    settings: Settings,
    shutdown: Shutdown,
}

impl Part {
    async fn open(
        role: Role,
        needs: Permissions,
        settings: Settings,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let connection = connect(&settings, role).await?;
        connection.need(needs).await;
        Ok(Self {
            log: Log::new(connection.clone(), settings.deployment.shards),
            connection,
            settings,
            shutdown,
        })
    }

    /// Runs a role while its connection is watched, then waits for the commits that its callers left
    /// and flushes the connection.
    async fn flushed(
        self,
        role: impl Future<Output = anyhow::Result<()>> + Send,
    ) -> anyhow::Result<()> {
        let ran = tokio::select! {
            ran = role => ran,
            never = self.connection.watch() => match never {},
        };
        self.log.landed().await;
        self.connection.flush().await;
        ran
    }

    async fn orchestrator(self, in_process: InProcess) -> anyhow::Result<()> {
        let queues = Queues::new(self.connection.clone(), topology(&self.settings));
        let ran = orchestrator::run(
            self.connection,
            self.log,
            queues,
            in_process,
            orchestrator::Config::of(&self.settings),
            self.shutdown,
        );
        ran.await.context("orchestrator")
    }

    async fn projector(self) -> anyhow::Result<()> {
        let store = views(&self.settings).await?;
        let ran = projector::run(
            self.connection,
            self.log,
            store,
            &self.settings.deployment,
            self.shutdown,
        );
        ran.await.context("projector")
    }

    async fn console(
        self,
        admin: Admin,
        listener: std::net::TcpListener,
        api: Option<SocketAddr>,
    ) -> anyhow::Result<()> {
        let views = views(&self.settings).await?;
        let console = console::live(
            self.connection,
            self.log,
            views,
            &self.settings,
            api,
            &self.shutdown,
        )?;
        let listener = TcpListener::from_std(listener)?;
        admin::serve(listener, admin, Some(console)).await
    }

    async fn webhooks(self) -> anyhow::Result<()> {
        let ran = webhooks::run(
            self.connection,
            self.log,
            &self.settings.webhooks,
            &self.settings.tenants,
            &self.settings.deployment,
            self.shutdown,
        );
        Box::pin(ran).await.context("webhooks")
    }

    async fn worker(self) -> anyhow::Result<()> {
        let ran = worker::run(
            self.connection,
            &self.settings.worker,
            &self.settings.deployment,
            &self.settings.task_types,
            self.shutdown,
        );
        ran.await.context("worker")
    }

    async fn api(
        self,
        in_process: InProcess,
        listener: std::net::TcpListener,
        auth: Arc<Auth>,
    ) -> anyhow::Result<()> {
        let store = views(&self.settings).await?;
        let ran = api::run(
            self.connection,
            self.log,
            store,
            in_process,
            TcpListener::from_std(listener)?,
            api::Config::of(&self.settings),
            auth,
            self.shutdown,
        );
        ran.await.context("api")
    }
}

/// Waits until every role has ended. A role that ends by itself ends the process. A role that does
/// not end after a hard shutdown, such as one that waits for a lost broker, is dropped.
pub async fn wait(running: Running, shutdown: &Shutdown) -> anyhow::Result<()> {
    let Running { mut roles, threads } = running;
    let mut first = Ok(());
    let dropping = async {
        shutdown.hardly().await;
        tokio::time::sleep(DROP_AFTER).await;
    };
    tokio::pin!(dropping);
    loop {
        let ended = tokio::select! {
            ended = roles.join_next() => ended,
            () = &mut dropping => {
                tracing::warn!(roles = roles.len(), "roles that do not end by themselves are dropped");
                break;
            }
        };
        let Some(ended) = ended else { break };
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
    drop(threads);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_role_that_does_not_stop_in_time_is_dropped() {
        let mut roles = JoinSet::new();
        roles.spawn(std::future::pending());
        let shutdown = Shutdown::new();
        shutdown.hard();
        let threads = Vec::new();
        let waiting = wait(Running { roles, threads }, &shutdown);
        let ended = tokio::time::timeout(2 * DROP_AFTER, waiting).await;
        assert!(ended.unwrap().is_ok());
    }
}
