use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::io;
use crate::memory::{self, Memory};
use crate::server::{Group, Server, Spec, take_port};
use crate::staging::Staging;
use crate::{Error, Port, find};

/// Where it keeps the streams, in its folder.
const STREAMS: &str = "jetstream/jetstream/$G/streams";

/// A nats-server of one's own.
#[derive(Clone, Debug)]
pub struct NatsServer {
    /// Where its data and its configuration are.
    pub folder: PathBuf,
    /// The loopback port it listens on.
    pub port: Port,
    /// When it syncs to disk: `always`, or an interval such as `100ms`.
    pub sync_interval: String,
    /// Its place in a cluster, for one that is not alone.
    pub cluster: Option<Cluster>,
    /// Whose signals it gets.
    pub group: Group,
    /// Further lines of its configuration.
    pub further: String,
}

/// A server's place in a cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The loopback port for the other servers.
    pub port: u16,
    /// The cluster ports of all servers.
    pub routes: Vec<u16>,
}

impl NatsServer {
    /// Starts it, and waits until it answers.
    pub async fn start(&self) -> Result<Server, Error> {
        let program = find(&["nats-server"]);
        let program = program.ok_or(Error::NotInstalled("nats-server", "NATS_URL"))?;
        fs::create_dir_all(&self.folder)
            .map_err(io(format!("the folder {}", self.folder.display())))?;
        let folder = fs::canonicalize(&self.folder).map_err(io("its folder"))?;
        let config = folder.join("nats-server.conf");
        let is_set = |name: &str| std::env::var_os(name).is_some();
        let advice = memory::advice(Memory::found(), is_set);
        let port = take_port("nats-server", &folder, self.port).await?;
        fs::write(&config, self.config(&folder, port, advice.max_memory_store))
            .map_err(io("its configuration"))?;
        let mut server = Server::start(Spec {
            name: "nats-server",
            program,
            args: vec!["-c".into(), config.display().to_string()],
            environment: advice.environment,
            folder: folder.clone(),
            port,
            url: format!("nats://127.0.0.1:{port}"),
            ask: "",
            answer: "INFO ",
            group: self.group,
        })
        .await?;
        // Those of a cluster stage in memory by themselves, where their streams have replicas.
        if self.cluster.is_none() {
            server.stage(Staging::of(&folder, folder.join(STREAMS)));
        }
        Ok(server)
    }

    /// What the server is configured with.
    fn config(&self, folder: &Path, port: u16, max_memory_store: Option<u64>) -> String {
        let name = self.cluster.as_ref().map_or("fanfold", |c| c.name.as_str());
        let queues = max_memory_store.map_or(String::new(), |bytes| {
            format!("  max_memory_store: {bytes}\n")
        });
        let mut text = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: \"{name}\"\n\
             jetstream {{\n  store_dir: \"{}\"\n  sync_interval: {}\n{queues}}}\n",
            quotable(&folder.join("jetstream")),
            self.sync_interval,
        );
        if let Some(cluster) = &self.cluster {
            let routes = cluster
                .routes
                .iter()
                .map(|port| format!("\"nats://127.0.0.1:{port}\""));
            let routes = routes.collect::<Vec<_>>().join(", ");
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "cluster {{\n  name: fanfold\n  listen: \"127.0.0.1:{}\"\n  routes: [{routes}]\n}}\n",
                cluster.port
            );
        }
        text.push_str(&self.further);
        text
    }
}

/// A path as it stands between quotes in the server's configuration.
fn quotable(path: &Path) -> String {
    let path = path.display().to_string();
    path.replace('\\', "\\\\").replace('"', "\\\"")
}
