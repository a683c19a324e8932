use servers::{Cluster, Server, free_port};
use tempfile::TempDir;

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

    /// All of them, for a client.
    pub fn url(&self) -> String {
        let urls: Vec<&str> = self.servers.iter().map(Server::url).collect();
        urls.join(",")
    }

    /// Kills one as a crash would, and starts it again.
    pub async fn kill_and_restart(&mut self, server: usize) {
        self.servers[server].restart().await.unwrap();
    }
}
