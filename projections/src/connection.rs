use std::time::Duration;

use futures::future::try_join_all;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, Pipeline, RedisFuture, Value};

use crate::Error;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Redis may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before the client tries a lost connection again.
const RECONNECT_MAX_DELAY: Duration = Duration::from_secs(1);

/// A connection to a Redis server, or to a Redis Cluster where several URLs are given. Clones share
/// the connection, and it reconnects by itself.
#[derive(Clone)]
pub struct Connection(Inner);

#[derive(Clone)]
enum Inner {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects to one URL, or to a cluster. For a cluster, the URLs of several nodes are separated
    /// by commas.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let opening = tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(url));
        let opened = opening
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("waited {CONNECT_TIMEOUT:?}"))));
        opened.map_err(|error| {
            let place = url.rsplit('@').next().unwrap_or(url);
            let (Error::Unavailable(reason)
            | Error::Refused(reason)
            | Error::Corrupt { reason, .. }) = error;
            Error::Unavailable(format!(
                "no server answers at {place} ({reason}): start one, or set REDIS_URL"
            ))
        })
    }

    async fn connect(url: &str) -> Result<Self, Error> {
        let urls: Vec<&str> = url.split(',').map(str::trim).collect();
        if urls.len() > 1 {
            let client = ClusterClientBuilder::new(urls)
                .response_timeout(RESPONSE_TIMEOUT)
                .build()?;
            let connection = client.get_async_connection().await?;
            return Ok(Self(Inner::Cluster(connection)));
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_max_delay(RECONNECT_MAX_DELAY);
        let manager = ConnectionManager::new_with_config(redis::Client::open(url)?, config).await?;
        Ok(Self(Inner::Single(manager)))
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.clone();
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(())
    }

    /// The servers that hold keys: one, or the primaries of the cluster.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let Inner::Cluster(connection) = &self.0 else {
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
        match (self.0.clone(), node) {
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
        match &mut self.0 {
            Inner::Single(connection) => connection.req_packed_command(cmd),
            Inner::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Inner::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Inner::Cluster(connection) => Box::pin(each(connection, cmd)),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Inner::Single(connection) => connection.get_db(),
            Inner::Cluster(connection) => connection.get_db(),
        }
    }
}
