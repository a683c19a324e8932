//! The roles of one process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::Auth;
use metrics::{Metrics, Pulse, Views};
use nats::{Connection, Log, Permissions, Queues, Topology, Unanswered};
use projections::Store;
use runtime::{Documents, InProcess, LogFilter, Pool, Settings, Shutdown};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::agreement::agree;
use crate::command_line::Role;
use crate::console;
use crate::exposure::unsafe_settings;
use crate::notify::Notify;
use crate::role_thread::RoleThread;

/// How long roles may take to end by themselves after a hard shutdown, before they are dropped.
const DROP_AFTER: Duration = Duration::from_secs(2);

/// How often the runtime of a role shows that it turns.
const BEAT_EVERY: Duration = Duration::from_secs(1);

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

/// Whether a process sends traces. `up` does only if it knows a collector.
fn sends_traces(role: Role, settings: &Settings) -> bool {
    role == Role::Tracer || (role == Role::Up && settings.traces.is_on())
}

/// What the roles of this process need at NATS.
fn needs(role: Role, settings: &Settings) -> Permissions {
    let actors = role.actors(sends_webhooks(role, settings), sends_traces(role, settings));
    Permissions::of_all(&actors, &topology(settings), &settings.connections.access())
}

async fn views(settings: &Settings, counted: Option<Views>) -> anyhow::Result<Store> {
    let connection = projections::Connection::open_or_later(settings.connections.redis()?).await?;
    let connection = match counted {
        Some(counted) => connection.counted(counted),
        None => connection,
    };
    let keep = settings.deployment.request_ttl;
    Ok(Store::new(connection, keep))
}

/// What this process has besides its settings.
pub struct Own {
    /// The data folder of the broker that this process started, if it started one.
    pub broker_folder: Option<PathBuf>,
    pub metrics: Metrics,
    pub logs: Arc<LogFilter>,
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
    let connecting = || connect(settings, role);
    let connection = shutdown.patiently(lacks_a_majority, connecting).await?;
    connection.need(needs(role, settings)).await;
    let agreeing = || agree_and_declare(role, settings, &connection);
    let agreed = Box::pin(shutdown.patiently(may_pass, agreeing)).await;
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

/// Whether a server took the connection whose cluster answers nothing now. A start that no server
/// answers fails at once, because its address may be wrong.
fn lacks_a_majority(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(nats::Error::Unanswered(_)))
}

/// Whether a stream that has no leader now may have one later.
fn may_pass(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref();
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
    if sends_traces(role, &settings) {
        tracer::check(&settings.traces).map_err(|wrong| settings.wrong(wrong))?;
    }
    let topology = Topology {
        webhooks: sends_webhooks(role, &settings),
        traces: sends_traces(role, &settings),
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

/// What the roles of this process share.
fn in_process(role: Role, settings: &Settings, own: Own) -> anyhow::Result<InProcess> {
    Ok(InProcess {
        documents: Documents::default(),
        pool: Pool::start().context("could not start the threads for work on documents")?,
        worker: role
            .includes(Role::Worker)
            .then(|| worker::name(&settings.worker)),
        broker_folder: own.broker_folder,
        metrics: own.metrics,
    })
}

/// Starts the roles of this process, each on its own threads and with its own connection to NATS.
/// Only the API shares the log of the orchestrator, so that their concurrent commits go into one
/// batch.
pub async fn start(
    role: Role,
    settings: &Settings,
    mut connection: Connection,
    own: Own,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> anyhow::Result<Running> {
    let (metrics, logs) = (own.metrics.clone(), own.logs.clone());
    let mut in_process = in_process(role, settings, own)?;
    let mut roles = JoinSet::new();
    let auth = auth(role, settings)?;
    let mut threads = Vec::new();
    let thread = |of: Role| RoleThread::start(of.name(), role.count(), of == Role::Api);
    let needed = needs(role, settings);
    let unanswered = Unanswered::default();
    let part = |of: Role| {
        let shared = (settings.clone(), metrics.clone());
        Part::open(
            (of, unanswered.clone()),
            needed.clone(),
            shared,
            shutdown.clone(),
        )
    };
    let mut log = None;
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
    if sends_traces(role, settings) {
        let thread = threads.push_mut(thread(Role::Tracer)?);
        let part = thread.run(part(Role::Tracer)).await?;
        connection = part.connection.clone();
        roles.spawn(thread.run(part.clone().flushed(part.tracer())));
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
        let store = checked_views(role, settings).await?;
        let told = (auth.clone(), metrics.clone(), logs);
        // Without the console, the admin listener uses the connection of the last role, to check
        // what the role works with.
        if role.includes(Role::Console) {
            let listener = listener.into_std()?;
            let thread = threads.push_mut(thread(Role::Console)?);
            let part = thread.run(part(Role::Console)).await?;
            let connection = part.connection.clone();
            let admin = Admin::new(role, connection, store, settings, told, shutdown);
            let served = part.clone().console(admin, listener, api_address);
            roles.spawn(thread.run(part.flushed(served)));
        } else {
            let admin = Admin::new(role, connection, store, settings, told, shutdown);
            roles.spawn(admin::serve(listener, admin, None));
        }
    }
    let (notify, until) = (Notify::of_environment(), shutdown.clone());
    roles.spawn(async move {
        notify.run(metrics.pulses, until).await;
        Ok(())
    });
    // An API without a listener has no other work than this.
    let (watching, until) = (auth, shutdown.clone());
    roles.spawn(async move {
        watching.watch(&until).await;
        Ok(())
    });
    Ok(Running { roles, threads })
}

/// The views that the admin listener looks at, where a role of this process needs them.
async fn checked_views(role: Role, settings: &Settings) -> anyhow::Result<Option<Store>> {
    let reads = [Role::Projector, Role::Api, Role::Console];
    if reads.into_iter().any(|of| role.includes(of)) {
        return Ok(Some(views(settings, None).await?));
    }
    Ok(None)
}

/// The connection, log and settings of a role.
#[derive(Clone)]
struct Part {
    role: Role,
    connection: Connection,
    log: Log,
    settings: Settings,
    metrics: Metrics,
    shutdown: Shutdown,
}

impl Part {
    /// Opens a part on the runtime of its role.
    async fn open(
        (role, unanswered): (Role, Unanswered),
        needs: Permissions,
        (settings, metrics): (Settings, Metrics),
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let connection = connect(&settings, role).await?;
        let connection = connection
            .counted(&metrics.broker, role.name())
            .noting_in(&unanswered);
        connection.need(needs).await;
        metrics.process.runs(role.name(), Handle::current());
        Ok(Self {
            role,
            metrics,
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
            never = beat(self.metrics.pulses.begin(self.role.name(), "runtime")) => match never {},
        };
        self.log.landed().await;
        self.connection.flush().await;
        ran
    }

    /// The instruments of its calls to Redis.
    fn views(&self) -> Views {
        let Metrics { views, broker, .. } = &self.metrics;
        views.of_role(broker, self.role.name())
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
        Box::pin(ran).await.context("orchestrator")
    }

    async fn projector(self) -> anyhow::Result<()> {
        let store = views(&self.settings, Some(self.views())).await?;
        let topology = topology(&self.settings);
        let ran = projector::run(
            self.connection,
            self.log,
            store,
            (&self.settings.deployment, &topology),
            &self.metrics,
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
        // Its calls to Redis are those of a person who looks.
        let views = views(&self.settings, None).await?;
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
            &self.metrics,
            self.shutdown,
        );
        Box::pin(ran).await.context("webhooks")
    }

    async fn tracer(self) -> anyhow::Result<()> {
        let ran = tracer::run(
            self.connection,
            self.log,
            &self.settings.traces,
            &self.settings.deployment,
            self.shutdown,
        );
        Box::pin(ran).await.context("tracer")
    }

    async fn worker(self) -> anyhow::Result<()> {
        let ran = worker::run(
            self.connection,
            &self.settings.worker,
            &self.settings.deployment,
            &self.settings.task_types,
            &self.metrics,
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
        let store = views(&self.settings, Some(self.views())).await?;
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

/// Turns for as long as it is polled, as a sign that the threads of its role do.
async fn beat(pulse: Pulse) -> Infallible {
    loop {
        pulse.turns();
        tokio::time::sleep(BEAT_EVERY).await;
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
