use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use runtime::Disk;

use crate::error::io;
use crate::health::Health;
use crate::memory::{self, Memory};
use crate::server::{Group, Server, Spec, take_port};
use crate::staging::Staging;
use crate::{Error, Port, find, free_port, private_folder, write_private};

/// The path of the streams in the data folder.
const STREAMS: &str = "jetstream/jetstream/$G/streams";

/// An embedded nats-server.
#[derive(Clone, Debug)]
pub struct NatsServer {
    /// The folder of the data and the configuration.
    pub folder: PathBuf,
    /// The loopback port of the server.
    pub port: Port,
    /// The sync interval: `always`, or a duration such as `100ms`.
    pub sync_interval: String,
    /// The cluster of the server, if it has one.
    pub cluster: Option<Cluster>,
    /// The process group that receives the server's signals.
    pub group: Group,
    /// Further lines of the configuration.
    pub further: String,
}

/// The membership of a server in a cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The name of the server.
    pub name: String,
    /// The loopback port for the other servers.
    pub port: u16,
    /// The cluster ports of all servers.
    pub routes: Vec<u16>,
}

/// The limits on the streams in memory and on disk, where they are known. Without a limit on disk,
/// nats-server takes three quarters of what is free when it starts. Streams that have grown over
/// that would be refused every write after a restart.
struct Stores {
    memory: Option<u64>,
    disk: Option<u64>,
}

impl NatsServer {
    /// Starts the server, and waits until it answers.
    pub async fn start(&self) -> Result<Server, Error> {
        let program = find(&["nats-server"]);
        let program = program.ok_or(Error::NotInstalled("nats-server", "NATS_URL"))?;
        private_folder(&self.folder)
            .map_err(io(format!("the folder {}", self.folder.display())))?;
        let folder = fs::canonicalize(&self.folder).map_err(io("its folder"))?;
        let config = folder.join("nats-server.conf");
        let is_set = |name: &str| std::env::var_os(name).is_some();
        let advice = memory::advice(Memory::found(), is_set);
        let port = take_port("nats-server", &folder, self.port).await?;
        let monitor = free_port()?;
        let stores = Stores {
            memory: advice.max_memory_store,
            disk: Disk::of(&folder).ok().map(Disk::streams_max),
        };
        let text = self.config(&folder, [port, monitor], &stores);
        write_private(&config, text.as_bytes()).map_err(io("its configuration"))?;
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
        // Clustered servers stage batches in memory by themselves, if their streams have replicas.
        if self.cluster.is_none() {
            server.stage(Staging::of(&folder, folder.join(STREAMS)));
            server.report(Health::new(monitor, folder));
        }
        Ok(server)
    }

    /// The configuration file of the server.
    fn config(&self, folder: &Path, [port, monitor]: [u16; 2], stores: &Stores) -> String {
        let name = self.cluster.as_ref().map_or("fanfold", |c| c.name.as_str());
        let line = |setting: &str, bytes: Option<u64>| {
            bytes.map_or(String::new(), |bytes| format!("  {setting}: {bytes}\n"))
        };
        let memory = line("max_memory_store", stores.memory);
        let disk = line("max_file_store", stores.disk);
        let mut text = format!(
            "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nserver_name: \"{name}\"\n\
             jetstream {{\n  store_dir: \"{}\"\n  sync_interval: {}\n{memory}{disk}}}\n",
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

/// A path in a form that fits between the quotes of the configuration.
fn quotable(path: &Path) -> String {
    let path = path.display().to_string();
    path.replace('\\', "\\\\").replace('"', "\\\"")
}
