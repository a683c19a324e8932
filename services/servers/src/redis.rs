use std::path::PathBuf;

use crate::error::io;
use crate::server::{Group, Server, Spec, take_port};
use crate::{Error, Port, find};

/// A Redis (or Valkey) server of one's own. It keeps snapshots only: what it loses in a crash
/// is built again from the log.
#[derive(Clone, Debug)]
pub struct RedisServer {
    /// Where its data is.
    pub folder: PathBuf,
    /// The loopback port it listens on.
    pub port: Port,
    /// Its loopback port for the other servers, for one of a cluster.
    pub cluster_port: Option<u16>,
    /// Whose signals it gets.
    pub group: Group,
}

impl RedisServer {
    /// Starts it, and waits until it answers.
    pub async fn start(&self) -> Result<Server, Error> {
        let program = find(&["redis-server", "valkey-server"]);
        let program = program.ok_or(Error::NotInstalled("redis-server", "REDIS_URL"))?;
        std::fs::create_dir_all(&self.folder)
            .map_err(io(format!("the folder {}", self.folder.display())))?;
        let folder = std::fs::canonicalize(&self.folder).map_err(io("its folder"))?;
        let port = take_port("redis-server", &folder, self.port).await?;
        let settings = [
            ("--port", port.to_string()),
            ("--bind", "127.0.0.1".into()),
            ("--dir", folder.display().to_string()),
            ("--save", "1800 1".into()),
            ("--appendonly", "no".into()),
            ("--maxmemory-policy", "noeviction".into()),
            // A title of its own would hide the folder, by which a stale server is known.
            ("--set-proc-title", "no".into()),
        ];
        let cluster = self.cluster_port.map(|port| {
            [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-port", port.to_string()),
            ]
        });
        let args = settings
            .into_iter()
            .chain(cluster.into_iter().flatten())
            .flat_map(|(name, value)| [name.to_owned(), value]);
        Server::start(Spec {
            name: "redis-server",
            program,
            args: args.collect(),
            environment: Vec::new(),
            folder,
            port,
            url: format!("redis://127.0.0.1:{port}"),
            ask: "PING\r\n",
            answer: "+PONG",
            group: self.group,
        })
        .await
    }
}
