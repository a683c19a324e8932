use std::time::Duration;

use futures::future::try_join_all;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, Pipeline, RedisFuture, Value};

use crate::Error;
use crate::options::Options;
use crate::prefix::Prefix;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Redis may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before the client tries a lost connection again.
const RECONNECT_MAX_DELAY: Duration = Duration::from_secs(1);

/// A connection to a Redis server, or to a Redis Cluster where several URLs are given. Clones share
/// the connection, and it reconnects by itself.
#[derive(Clone)]
pub struct Connection {
    inner: Inner,
    prefix: Prefix,
}

#[derive(Clone)]
enum Inner {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects to one server, or to a cluster.
    pub async fn open(options: impl Into<Options>) -> Result<Self, Error> {
        let options = options.into();
        let opening = tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(&options));
        let opened = opening
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("waited {CONNECT_TIMEOUT:?}"))));
        opened.map_err(|error| {
            let place = options.place();
            let (Error::Unavailable(reason)
            | Error::Refused(reason)
            | Error::Corrupt { reason, .. }) = error;
            Error::Unavailable(format!(
                "no server answers at {place} ({reason}): start one, or set REDIS_URL"
            ))
        })
    }

    async fn connect(options: &Options) -> Result<Self, Error> {
        let prefix = Prefix::new(&options.prefix);
        let mut servers = options.servers()?;
        if servers.len() > 1 {
            let mut builder = ClusterClientBuilder::new(servers).response_timeout(RESPONSE_TIMEOUT);
            if let Some(certificates) = options.certificates()? {
                builder = builder.certs(certificates);
            }
            let connection = builder.build()?.get_async_connection().await?;
            let inner = Inner::Cluster(connection);
            return Ok(Self { inner, prefix });
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_max_delay(RECONNECT_MAX_DELAY);
        let server = servers
            .pop()
            .ok_or_else(|| Error::Unavailable("no URL".into()))?;
        let client = match options.certificates()? {
            Some(certificates) => redis::Client::build_with_tls(server, certificates)?,
            None => redis::Client::open(server)?,
        };
        let manager = ConnectionManager::new_with_config(client, config).await?;
        let inner = Inner::Single(manager);
        Ok(Self { inner, prefix })
    }

    /// What stands in front of every key.
    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.clone();
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(())
    }

    /// The servers that hold keys: one, or the primaries of the cluster.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let Inner::Cluster(connection) = &self.inner else {
            return Ok(vec![Node::Only]);
        };
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        // Each range of slots: its first slot, its last slot, its primary, and its replicas.
        let slots: Vec<Vec<Value>> = slots.query_async(&mut connection.clone()).await?;
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
            (Inner::Cluster(mut connection), Node::Of(host, port)) => {
                let node = SingleNodeRoutingInfo::ByAddress {
                    host: host.clone(),
                    port: *port,
                };
                let routing = RoutingInfo::SingleNode(node);
                Ok(connection.route_command(command, routing).await?)
            }
            (Inner::Cluster(mut connection), Node::Only) => {
                Ok(connection.req_packed_command(&command).await?)
            }
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

/// Sends each command of a pipeline to the server that has its key. A cluster takes no pipeline
/// whose keys are not all in one slot. No pipeline here is a transaction, which could not be split.
async fn each(
    connection: &ClusterConnection,
    pipeline: &Pipeline,
) -> redis::RedisResult<Vec<Value>> {
    let answers = pipeline.cmd_iter().map(|command| {
        let mut connection = connection.clone();
        async move { connection.req_packed_command(command).await }
    });
    try_join_all(answers).await
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let Some(cmd) = self.prefix.command(cmd) else {
            return match &mut self.inner {
                Inner::Single(connection) => connection.req_packed_command(cmd),
                Inner::Cluster(connection) => connection.req_packed_command(cmd),
            };
        };
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match &mut inner {
                Inner::Single(connection) => connection.req_packed_command(&cmd).await,
                Inner::Cluster(connection) => connection.req_packed_command(&cmd).await,
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let Some(cmd) = self.prefix.pipeline(cmd) else {
            return match &mut self.inner {
                Inner::Single(connection) => connection.req_packed_commands(cmd, offset, count),
                Inner::Cluster(connection) => Box::pin(each(connection, cmd)),
            };
        };
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match &mut inner {
                Inner::Single(connection) => {
                    connection.req_packed_commands(&cmd, offset, count).await
                }
                Inner::Cluster(connection) => each(connection, &cmd).await,
            }
        })
    }

    fn get_db(&self) -> i64 {
        match &self.inner {
            Inner::Single(connection) => connection.get_db(),
            Inner::Cluster(connection) => connection.get_db(),
        }
    }
}
