use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::error::io;
use crate::server::{Group, Server, Spec, take_port};
use crate::{Error, Port, find, private_folder, write_private};

/// An embedded Redis (or Valkey) server. It keeps snapshots only. Data that it loses in a crash is
/// rebuilt from the log.
#[derive(Clone, Debug)]
pub struct RedisServer {
    /// The folder of the data.
    pub folder: PathBuf,
    /// The loopback port of the server.
    pub port: Port,
    /// The loopback port for the other servers of a cluster.
    pub cluster_port: Option<u16>,
    /// The process group that receives the server's signals.
    pub group: Group,
    /// The password of its clients, if they need one.
    pub password: Option<SecretString>,
}

impl RedisServer {
    /// Starts the server, and waits until it answers.
    pub async fn start(&self) -> Result<Server, Error> {
        let program = find(&["redis-server", "valkey-server"]);
        let program = program.ok_or(Error::NotInstalled("redis-server", "REDIS_URL"))?;
        private_folder(&self.folder)
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
            // Views that cannot be saved can be rebuilt, so a full disk stops no writes.
            ("--stop-writes-on-bgsave-error", "no".into()),
            // A process title would hide the folder, which identifies a stale server.
            ("--set-proc-title", "no".into()),
        ];
        let cluster = self.cluster_port.map(|port| {
            [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-port", port.to_string()),
            ]
        });
        // The password is in a file, because everybody can read the arguments of a process.
        let config = folder.join("redis.conf");
        let password = self.password.as_ref();
        let text = password.map_or_else(String::new, |password| {
            format!("requirepass \"{}\"\n", password.expose_secret())
        });
        write_private(&config, text.as_bytes()).map_err(io("its configuration"))?;
        let args = settings
            .into_iter()
            .chain(cluster.into_iter().flatten())
            .flat_map(|(name, value)| [name.to_owned(), value]);
        Server::start(Spec {
            name: "redis-server",
            program,
            args: std::iter::once(config.display().to_string())
                .chain(args)
                .collect(),
            environment: Vec::new(),
            folder,
            port,
            url: format!("redis://127.0.0.1:{port}"),
            ask: "PING\r\n",
            answer: if self.password.is_some() {
                "-NOAUTH"
            } else {
                "+PONG"
            },
            group: self.group,
        })
        .await
    }
}
