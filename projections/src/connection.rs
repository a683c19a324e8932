use std::borrow::Cow;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::try_join_all;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::sync::OnceCell;

use crate::Error;
use crate::circuit::{Circuit, Circuits, TRY_TIMEOUT, Way, key_of};
use crate::options::Options;
use crate::prefix::Prefix;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Redis may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a lost connection is tried again at once. Each later call tries again.
const RETRIES: usize = 1;
/// The longest pause before the client tries a lost connection again.
const RECONNECT_MAX_DELAY: Duration = Duration::from_millis(200);

/// A connection to a Redis server, or to a Redis Cluster where several URLs are given. Clones share
/// the connection, and it reconnects by itself. Where Redis does not answer, further calls fail at
/// once for a moment.
#[derive(Clone)]
pub struct Connection {
    inner: Inner,
    circuits: Arc<Circuits>,
    prefix: Prefix,
}

#[derive(Clone)]
enum Inner {
    Single(ConnectionManager),
    Cluster(Arc<Cluster>),
}

/// A cluster, which is connected to at the first call.
struct Cluster {
    client: ClusterClient,
    connection: Mutex<Arc<OnceCell<ClusterConnection>>>,
}

impl Cluster {
    /// Makes a call over the connection, which is made first if there is none.
    ///
    /// The client (redis 1.8) never connects again once it has lost every server: it looks for the
    /// slots without a pause, logs an error each time, and takes a whole processor. Such a
    /// connection is dropped here, which ends its task, and the next call makes a new one.
    async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut ClusterConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let kept = self.current().clone();
        let connecting = kept.get_or_try_init(|| self.client.get_async_connection());
        let ended = call(&mut connecting.await?.clone()).await;
        if let Err(error) = &ended
            && error.kind() == ErrorKind::ClusterConnectionNotFound
        {
            let mut current = self.current();
            if Arc::ptr_eq(&current, &kept) {
                *current = Arc::default();
            }
        }
        ended
    }

    fn current(&self) -> MutexGuard<'_, Arc<OnceCell<ClusterConnection>>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Connects to one server, or to a cluster.
    pub async fn open(options: impl Into<Options>) -> Result<Self, Error> {
        let options = options.into();
        let absent = |error: Error| absent(&options, error);
        let connection = Self::at(&options).map_err(absent)?;
        let answered = tokio::time::timeout(CONNECT_TIMEOUT, connection.ping()).await;
        answered
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("waited {CONNECT_TIMEOUT:?}"))))
            .map_err(absent)?;
        Ok(connection)
    }

    /// Connects like [`Self::open`], and also where Redis does not answer yet: then at the first call
    /// that finds it. A Redis that answers and refuses the credentials is an error.
    pub async fn open_or_later(options: impl Into<Options>) -> Result<Self, Error> {
        let options = options.into();
        let connection = Self::at(&options).map_err(|error| absent(&options, error))?;
        let answered = tokio::time::timeout(CONNECT_TIMEOUT, connection.answer()).await;
        if let Ok(Err(error)) = answered {
            let is_refused = is_login_refused(&error);
            let error = absent(&options, error.into());
            if is_refused {
                return Err(error);
            }
            tracing::warn!(%error, "this process begins without Redis");
        }
        Ok(connection)
    }

    /// The connection, which is made at the first call. Needs options that can be read.
    fn at(options: &Options) -> Result<Self, Error> {
        let prefix = Prefix::new(&options.prefix);
        let mut servers = options.servers()?;
        if servers.len() > 1 {
            let mut builder = ClusterClientBuilder::new(servers)
                .connection_timeout(RESPONSE_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT);
            if let Some(certificates) = options.certificates()? {
                builder = builder.certs(certificates);
            }
            let cluster = Cluster {
                client: builder.build()?,
                connection: Mutex::default(),
            };
            return Ok(Self {
                inner: Inner::Cluster(Arc::new(cluster)),
                circuits: Arc::new(Circuits::of_cluster()),
                prefix,
            });
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(RETRIES)
            .set_max_delay(RECONNECT_MAX_DELAY);
        let server = servers
            .pop()
            .ok_or_else(|| Error::Unavailable("no URL".into()))?;
        let client = match options.certificates()? {
            Some(certificates) => redis::Client::build_with_tls(server, certificates)?,
            None => redis::Client::open(server)?,
        };
        let manager = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self {
            inner: Inner::Single(manager),
            circuits: Arc::new(Circuits::of_server()),
            prefix,
        })
    }

    /// What stands in front of every key.
    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.answer().await?)
    }

    async fn answer(&self) -> RedisResult<()> {
        let mut connection = self.clone();
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(())
    }

    /// The servers that hold keys: one, or the primaries of the cluster.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let Inner::Cluster(cluster) = &self.inner else {
            return Ok(vec![Node::Only]);
        };
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        // Each range of slots: its first slot, its last slot, its primary, and its replicas.
        let slots = cluster.call(async |connection| slots.query_async(connection).await);
        let slots: Vec<Vec<Value>> = slots.await?;
        let mut nodes = Vec::new();
        for primary in slots
            .into_iter()
            .filter_map(|slots| slots.into_iter().nth(2))
        {
            let mut fields: Vec<Value> = redis::from_redis_value(primary).map_err(unreadable)?;
            fields.truncate(2);
            let (host, port) = redis::from_redis_value(Value::Array(fields)).map_err(unreadable)?;
            let node = Node::Of(host, port);
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// Sends one server a command that no key routes.
    pub(crate) async fn ask(&self, node: &Node, command: Cmd) -> Result<Value, Error> {
        match (self.inner.clone(), node) {
            (Inner::Cluster(cluster), Node::Of(host, port)) => {
                let node = SingleNodeRoutingInfo::ByAddress {
                    host: host.clone(),
                    port: *port,
                };
                let routing = RoutingInfo::SingleNode(node);
                let call = async |connection: &mut ClusterConnection| {
                    connection.route_command(command, routing).await
                };
                Ok(cluster.call(call).await?)
            }
            (cluster @ Inner::Cluster(_), Node::Only) => Ok(cluster.ask(&command).await?),
            (Inner::Single(mut connection), _) => {
                Ok(connection.req_packed_command(&command).await?)
            }
        }
    }
}

/// A server that holds keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// The only server.
    Only,
    /// The server of a cluster at this host and port.
    Of(String, u16),
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn unreadable(error: redis::ParsingError) -> Error {
    Error::Unavailable(format!("its slots cannot be read: {error}"))
}

/// The error of a server that does not answer when a process begins.
fn absent(options: &Options, error: Error) -> Error {
    let place = options.place();
    let reason = match error {
        Error::Unavailable(reason)
        | Error::Denied(reason)
        | Error::Refused(reason)
        | Error::Corrupt { reason, .. } => reason,
        Error::Foreign { key } => key,
    };
    Error::Unavailable(format!(
        "no server answers at {place} ({reason}): start one, or set REDIS_URL"
    ))
}

/// Whether a server answered that it does not know this client, or not with this password.
fn is_login_refused(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

impl Connection {
    /// Sends a command that has the prefix.
    async fn one(&self, command: Cow<'_, Cmd>) -> RedisResult<Value> {
        let key = key_of(&command);
        let circuit = self.circuits.of(key);
        self.inner
            .under(circuit, key, self.inner.ask(&command))
            .await
    }

    /// Sends a pipeline whose commands have the prefix.
    ///
    /// A cluster takes no pipeline whose keys are not all in one slot, so each command goes to the
    /// server that has its key. No pipeline here is a transaction, which could not be split.
    async fn several(
        &self,
        pipeline: Cow<'_, Pipeline>,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        match &self.inner {
            Inner::Single(manager) => {
                let mut manager = manager.clone();
                let call = manager.req_packed_commands(&pipeline, offset, count);
                let key = pipeline.cmd_iter().next().and_then(key_of);
                self.inner.under(self.circuits.of(None), key, call).await
            }
            Inner::Cluster(_) => {
                let ways = || {
                    let commands = pipeline.cmd_iter();
                    commands.map(|command| (command, self.circuits.of(key_of(command))))
                };
                // Each circuit is passed once. After a failure it lets one call try, and that call
                // must not keep out the others of its own pipeline.
                let mut passed: Vec<&Circuit> = Vec::new();
                for (command, circuit) in ways() {
                    let known = |circuit: &Circuit| passed.iter().any(|p| ptr::eq(*p, circuit));
                    if circuit.is_some_and(known) {
                        continue;
                    }
                    self.inner.admitted(circuit, key_of(command)).await?;
                    passed.extend(circuit);
                }
                let asked =
                    ways().map(|(command, circuit)| noted(circuit, self.inner.ask(command)));
                try_join_all(asked).await
            }
        }
    }
}

impl Inner {
    /// Sends a command to the server that has its key.
    async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(manager) => manager.clone().req_packed_command(command).await,
            Self::Cluster(cluster) => {
                let call = async |connection: &mut ClusterConnection| {
                    connection.req_packed_command(command).await
                };
                cluster.call(call).await
            }
        }
    }

    /// Whether the server that has this key answers soon.
    async fn answers(&self, key: Option<&[u8]>) -> RedisResult<()> {
        let question = match key {
            Some(key) => redis::cmd("EXISTS").arg(key).clone(),
            None => redis::cmd("PING"),
        };
        let answer = tokio::time::timeout(TRY_TIMEOUT, self.ask(&question)).await;
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        answer.unwrap_or_else(|_| Err(late().into())).map(|_| ())
    }

    /// Makes a call under the circuit of a key.
    async fn under<T>(
        &self,
        circuit: Option<&Circuit>,
        key: Option<&[u8]>,
        call: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        self.admitted(circuit, key).await?;
        noted(circuit, call).await
    }

    /// Waits until a circuit lets calls pass, or returns the error of a server that is away.
    async fn admitted(&self, circuit: Option<&Circuit>, key: Option<&[u8]>) -> RedisResult<()> {
        let Some(circuit) = circuit else {
            return Ok(());
        };
        if let Way::Try = circuit.admit()? {
            let answered = Box::pin(self.answers(key)).await;
            circuit.note(&answered);
            answered?;
        }
        Ok(())
    }
}

/// Makes a call, and notes in its circuit how it ended.
async fn noted<T>(
    circuit: Option<&Circuit>,
    call: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let ended = call.await;
    if let Some(circuit) = circuit {
        circuit.note(&ended);
    }
    ended
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self.prefix.command(cmd) {
            None => self.one(Cow::Borrowed(cmd)).boxed(),
            Some(cmd) => self.one(Cow::Owned(cmd)).boxed(),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self.prefix.pipeline(cmd) {
            None => self.several(Cow::Borrowed(cmd), offset, count).boxed(),
            Some(cmd) => self.several(Cow::Owned(cmd), offset, count).boxed(),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.inner {
            Inner::Single(manager) => manager.get_db(),
            Inner::Cluster(_) => 0,
        }
    }
}
