//! Running roles: bind → servers → connect → run → drain.

use std::time::Duration;

use anyhow::bail;
use runtime::{Settings, Shutdown};

use crate::command_line::Role;
use crate::roles;

/// Runs the roles of this process until it is asked to end.
pub async fn run(role: Role, settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = if role.includes(Role::Api) && settings.enable_http {
        Some(api::bind(&settings).await?)
    } else {
        None
    };
    for (name, url) in [
        ("NATS_URL", &settings.nats_url),
        ("REDIS_URL", &settings.redis_url),
    ] {
        if url.is_empty() {
            bail!("{name} is not set: say where it is, or run `fanfold up`, which starts its own");
        }
    }
    let address = listener
        .as_ref()
        .map(|listener| listener.local_addr())
        .transpose()?;
    let running = roles::start(role, &settings, listener, &shutdown).await?;
    if let Some(address) = address {
        tracing::info!(%address, "listens");
    }
    let grace = Duration::from_millis(settings.shutdown_grace_ms);
    let signals = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { shutdown.on_signals(grace).await })
    };
    let ended = roles::wait(running, &shutdown).await;
    shutdown.hard();
    signals.await??;
    ended
}
