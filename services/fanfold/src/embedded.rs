//! The servers that `up` starts if none are configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use runtime::{ConnectionsConfig, Endpoints};
use secrecy::ExposeSecret as _;
use servers::{Group, NatsServer, Port, RedisServer, Server, Staging, supervise};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::command_line::Role;
use crate::data_folder::DataFolder;
use crate::server_password::{self, USER, with_login};

/// The servers of this process, supervised until they stop.
#[derive(Default)]
pub struct EmbeddedServers {
    supervised: JoinSet<Result<(), servers::Error>>,
    stop: CancellationToken,
    staging: Option<Arc<Staging>>,
    broker_folder: Option<PathBuf>,
    /// The folder that holds the file with the servers' addresses.
    written: Option<PathBuf>,
    /// Keeps the data folder locked for this process as long as its servers may run.
    folder: Option<DataFolder>,
}

impl EmbeddedServers {
    /// Starts the servers that are not configured, and records their addresses in the settings.
    pub async fn start(role: Role, settings: &mut ConnectionsConfig) -> anyhow::Result<Self> {
        let mut servers = Self::default();
        if role != Role::Up {
            require_given(settings)?;
            return Ok(servers);
        }
        let data = Path::new(&settings.data_dir).to_path_buf();
        let mut endpoints = Endpoints::default();
        if settings.nats_url.is_none() || settings.redis_url.is_none() {
            servers.folder = Some(DataFolder::take(&data)?);
        }
        // Anybody on this machine can reach a port of it.
        let password = || server_password::of(&data);
        if settings.nats_url.is_none() {
            let password = password()?;
            let server = NatsServer {
                folder: data.join("nats"),
                port: Port::Usual(settings.nats_port),
                sync_interval: settings.nats_sync_interval.clone(),
                cluster: None,
                group: Group::Own,
                further: format!(
                    "authorization {{ user: \"{USER}\", password: \"{}\" }}\n",
                    password.expose_secret()
                ),
            };
            let server = server.start().await?;
            let url = with_login(server.url(), USER, &password);
            settings.nats_url = Some(url.as_str().into());
            servers.staging = server.staging();
            endpoints.nats_url = Some(url);
            servers.broker_folder = Some(data.join("nats"));
            servers.supervise(server);
        }
        if settings.redis_url.is_none() {
            let password = password()?;
            let server = RedisServer {
                folder: data.join("redis"),
                port: Port::Usual(settings.redis_port),
                cluster_port: None,
                group: Group::Own,
                password: Some(password.clone()),
            };
            let server = server.start().await?;
            // Redis has one user where nobody made others.
            let url = with_login(server.url(), "", &password);
            settings.redis_url = Some(url.as_str().into());
            endpoints.redis_url = Some(url);
            servers.supervise(server);
        }
        if endpoints != Endpoints::default() {
            endpoints.write(&data).with_context(|| {
                format!(
                    "could not write the addresses of the servers to {}",
                    data.display()
                )
            })?;
            servers.written = Some(data);
        }
        Ok(servers)
    }

    /// The folder in which the NATS of this process stages batches.
    pub fn staging(&self) -> Option<Arc<Staging>> {
        self.staging.clone()
    }

    /// The data folder of the NATS of this process.
    pub fn broker_folder(&self) -> Option<PathBuf> {
        self.broker_folder.clone()
    }

    fn supervise(&mut self, server: Server) {
        tracing::info!(server = server.name(), url = server.url(), "started");
        let stop = self.stop.clone();
        self.supervised
            .spawn(supervise(server, stop.cancelled_owned()));
    }

    /// Returns when a server cannot be kept running; otherwise waits forever.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.supervised.join_next().await {
            Some(Ok(Err(error))) => error.into(),
            Some(_) => anyhow::anyhow!("the supervision of a server has ended"),
            None => std::future::pending().await,
        }
    }

    /// Stops the servers in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(folder) = &self.written
            && let Err(error) = Endpoints::remove(folder)
        {
            tracing::warn!(%error, folder = %folder.display(), "could not remove servers.json");
        }
        self.stop.cancel();
        while let Some(stopped) = self.supervised.join_next().await {
            stopped.context("could not stop a server")??;
        }
        drop(self.folder);
        Ok(())
    }
}

fn require_given(settings: &ConnectionsConfig) -> anyhow::Result<()> {
    for (name, url) in [
        ("NATS_URL", &settings.nats_url),
        ("REDIS_URL", &settings.redis_url),
    ] {
        if url.is_none() {
            bail!("{name} is not set: say where it is, or run `fanfold up`, which starts its own");
        }
    }
    Ok(())
}
