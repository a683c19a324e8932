use rustix::process::Signal;
use servers::{Cluster, Group, Port, RedisServer, Server, free_port};
use tempfile::TempDir;

use crate::process;
use crate::until::until;
use crate::world::nats;

/// Three nats-servers, for streams with three replicas.
pub struct NatsCluster {
    servers: Vec<Server>,
    _folder: TempDir,
}

impl NatsCluster {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..3).map(|_| free_port().unwrap()).collect();
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let mut server = nats(&folder.path().join(format!("{number}")), "always");
            server.cluster = Some(Cluster {
                name: format!("server-{number}"),
                port: *port,
                routes: ports.clone(),
            });
            servers.push(server.start().await.unwrap());
        }
        let cluster = Self {
            servers,
            _folder: folder,
        };
        cluster.until_it_has_a_leader().await;
        cluster
    }

    async fn until_it_has_a_leader(&self) {
        let client = async_nats::connect(self.servers[0].url()).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        let make = || async {
            let config = async_nats::jetstream::stream::Config {
                name: "PROBE".into(),
                num_replicas: 3,
                ..Default::default()
            };
            jetstream.get_or_create_stream(config).await.is_ok()
        };
        until("a stream with three replicas", make).await;
        jetstream.delete_stream("PROBE").await.unwrap();
    }

    /// The URL of all servers, for a client.
    pub fn url(&self) -> String {
        let urls: Vec<&str> = self.servers.iter().map(Server::url).collect();
        urls.join(",")
    }

    /// The URL of one server.
    pub fn url_of(&self, server: usize) -> &str {
        self.servers[server].url()
    }

    /// The server that leads a stream, as the others say. `None` while it has no leader, or while one
    /// of its replicas lags.
    pub async fn leader_of(&self, stream: &str) -> Option<usize> {
        let urls: Vec<&str> = self.servers.iter().map(Server::url).collect();
        let client = async_nats::connect(urls.as_slice()).await.ok()?;
        let jetstream = async_nats::jetstream::new(client);
        let found = jetstream.get_stream(stream).await.ok()?;
        let cluster = found.cached_info().cluster.as_ref()?;
        let level = cluster.replicas.len() == 2 && cluster.replicas.iter().all(|one| one.current);
        let leader = cluster.leader.as_ref().filter(|_| level)?;
        leader.strip_prefix("server-")?.parse().ok()
    }

    /// Signals one server, to suspend it like a hung process or to resume it.
    pub fn signal(&self, server: usize, signal: Signal) {
        process::signal(self.servers[server].pid().unwrap(), signal);
    }

    /// Kills one server as a crash would, and restarts it.
    pub async fn kill_and_restart(&mut self, server: usize) {
        self.servers[server].restart().await.unwrap();
    }
}

/// Three redis-servers, each with a third of the slots.
pub struct RedisCluster {
    servers: Vec<Server>,
    _folder: TempDir,
}

impl RedisCluster {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut servers = Vec::new();
        let mut places = Vec::new();
        for number in 0..3 {
            let (port, cluster_port) = (free_port().unwrap(), free_port().unwrap());
            let server = RedisServer {
                folder: folder.path().join(format!("redis-{number}")),
                port: Port::Fixed(port),
                cluster_port: Some(cluster_port),
                group: Group::Shared,
                password: None,
            };
            servers.push(server.start().await.unwrap());
            places.push((port, cluster_port));
        }
        let cluster = Self {
            servers,
            _folder: folder,
        };
        cluster.join(&places).await;
        cluster
    }

    async fn join(&self, places: &[(u16, u16)]) {
        for (node, slots) in [(0, 0..=5_460), (1, 5_461..=10_922), (2, 10_923..=16_383)] {
            let mut own = redis::cmd("CLUSTER");
            own.arg("ADDSLOTSRANGE")
                .arg(*slots.start())
                .arg(*slots.end());
            let () = own.query_async(&mut self.node(node).await).await.unwrap();
            let (port, cluster_port) = places[(node + 1) % places.len()];
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET")
                .arg("127.0.0.1")
                .arg(port)
                .arg(cluster_port);
            let () = meet.query_async(&mut self.node(node).await).await.unwrap();
        }
        for node in 0..places.len() {
            let connection = self.node(node).await;
            let knows = || async {
                let mut info = redis::cmd("CLUSTER");
                info.arg("INFO");
                let info: String = info.query_async(&mut connection.clone()).await.unwrap();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            until("the cluster is whole", knows).await;
        }
    }

    /// A plain client of one server.
    pub async fn node(&self, node: usize) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.servers[node].url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// The URL of all servers, for a client.
    pub fn url(&self) -> String {
        let urls: Vec<&str> = self.servers.iter().map(Server::url).collect();
        urls.join(",")
    }
}
