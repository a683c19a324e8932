use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisFuture, Value};

use crate::Error;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before a lost connection is tried again.
const RECONNECT_MAX_DELAY: Duration = Duration::from_secs(1);

/// A connection to a Redis server, or to a Redis Cluster where several URLs are given. It is
/// shared by cloning, and connects again by itself.
#[derive(Clone)]
pub struct Connection(Inner);

#[derive(Clone)]
enum Inner {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects to one URL, or to the cluster of which several, separated by commas, are nodes.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let opening = tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(url));
        let opened = opening
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("waited {CONNECT_TIMEOUT:?}"))));
        opened.map_err(|error| {
            let place = url.rsplit('@').next().unwrap_or(url);
            let (Error::Unavailable(reason) | Error::Corrupt { reason, .. }) = error;
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
            Inner::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Inner::Single(connection) => connection.get_db(),
            Inner::Cluster(connection) => connection.get_db(),
        }
    }
}
