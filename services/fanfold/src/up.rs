//! Running roles: bind → servers → connect → run → drain → stop the servers.

use std::path::PathBuf;
use std::sync::Arc;

use metrics::Metrics;
use runtime::{LogFilter, Settings, Shutdown};
use servers::Staging;
use tokio::net::TcpListener;

use crate::command_line::Role;
use crate::dev::Dev;
use crate::embedded::EmbeddedServers;
use crate::roles::Listeners;
use crate::{admin, instruments, ready, roles};

/// Runs the roles of this process until it is asked to end, and beside them what `dev` does.
pub async fn run(
    role: Role,
    settings: Settings,
    (metrics, logs, dev): (Metrics, Arc<LogFilter>, Option<Dev>),
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let grace = settings.process.shutdown_grace;
    // From here on only this process handles signals; its servers do not receive them.
    let signals = tokio::spawn(shutdown.clone().on_signals(grace)?);
    let ran = Box::pin(serve(
        role,
        settings,
        (metrics, logs, dev.as_ref()),
        &shutdown,
    ))
    .await;
    shutdown.hard();
    signals.await?;
    ran
}

async fn serve(
    role: Role,
    mut settings: Settings,
    (metrics, logs, dev): (Metrics, Arc<LogFilter>, Option<&Dev>),
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let listener = if role.includes(Role::Api) && settings.api.enable_http {
        Some(api::bind(&settings.api)?)
    } else {
        None
    };
    let admin = admin::bind(role, &settings.process).await?;
    let listeners = Listeners {
        api: listener,
        admin,
    };
    let mut servers = EmbeddedServers::start(role, &mut settings.connections).await?;
    let own = OwnBroker {
        staging: servers.staging(),
        folder: servers.broker_folder(),
    };
    let ran = tokio::select! {
        ran = run_roles(role, &settings, (own, metrics, logs), listeners, dev, shutdown) => ran,
        error = servers.failed() => {
            shutdown.hard();
            Err(error)
        }
    };
    let stopped = servers.stop().await;
    ran.and(stopped)
}

/// The broker that this process started, if it did.
struct OwnBroker {
    staging: Option<Arc<Staging>>,
    folder: Option<PathBuf>,
}

async fn run_roles(
    role: Role,
    settings: &Settings,
    (own, metrics, logs): (OwnBroker, Metrics, Arc<LogFilter>),
    listeners: Listeners,
    dev: Option<&Dev>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let address = listeners.api.as_ref();
    let address = address.map(TcpListener::local_addr).transpose()?;
    let admin = listeners.admin.as_ref();
    let admin = admin.map(TcpListener::local_addr).transpose()?;
    let (connection, settings) = &Box::pin(roles::declare(role, settings, shutdown)).await?;
    if let Some(staging) = own.staging {
        staging.link();
    }
    let connection = connection.clone();
    let own_connection = connection.clone();
    instruments::tell(&metrics, settings, own.folder.is_some());
    let own = roles::Own {
        broker_folder: own.folder,
        metrics,
        logs,
    };
    let running = roles::start(role, settings, connection, own, listeners, shutdown);
    let running = running.await?;
    if role == Role::Up {
        println!("\n{}\n", ready::block(settings, address, admin));
    } else {
        if let Some(address) = address {
            tracing::info!(%address, "the API listens");
        }
        if let Some(address) = admin {
            tracing::info!(%address, "the admin listener listens");
        }
    }
    let Some(dev) = dev else {
        return roles::wait(running, shutdown).await;
    };
    let beside = async {
        let ran = dev.beside(settings, &own_connection, admin, shutdown).await;
        shutdown.soft();
        ran
    };
    let (ran, beside) = tokio::join!(roles::wait(running, shutdown), beside);
    ran.and(beside)
}
