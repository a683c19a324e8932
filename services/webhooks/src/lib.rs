//! Webhooks: tells the `callback` of a request over HTTP how the request ended, signed as Standard
//! Webhooks specifies. A durable consumer of the feed holds the pending events. An event that is to
//! be tried again is postponed in a stream of its own.

mod address;
mod delivery;
mod receivers;
mod signature;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::access::Tenant;
use metrics::Metrics;
use nats::{Connection, DeadLetters, First, Log, Postponed, Quarantine};
use runtime::{Deployment, Shutdown, Tenants, WebhooksConfig};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use delivery::Sender;
use receivers::Receivers;
pub use signature::{InvalidSecret, Secret};

/// The consumer whose suspects these are.
const DURABLE: &str = "webhooks";

/// How often the loop turns where nothing comes, as a sign that it is alive.
const TURN_EVERY: Duration = Duration::from_secs(1);

/// Why webhooks cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or the feed failed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The secret is invalid.
    #[error("WEBHOOK_SECRET: {0}")]
    Secret(#[from] InvalidSecret),
}

/// The key of each tenant that has one: of the tenant `default` in the configuration, and of others
/// in the file. One at least is needed.
fn secrets(
    config: &WebhooksConfig,
    tenants: &Tenants,
) -> Result<HashMap<Tenant, Secret>, InvalidSecret> {
    let mut secrets = HashMap::new();
    let named = tenants.named();
    for (tenant, secret) in named.map(|(tenant, own)| (tenant, &own.webhook_secret)) {
        if let Some(secret) = secret {
            secrets.insert(tenant.clone(), secret.expose_secret().parse()?);
        }
    }
    let own = config.webhook_secret.as_ref();
    if own.is_some() || secrets.is_empty() {
        let own = own.map_or("", |secret| secret.expose_secret());
        secrets.insert(Tenant::default(), own.parse()?);
    }
    Ok(secrets)
}

/// Delivers events until the shutdown begins, then finishes the deliveries in progress.
pub async fn run(
    connection: Connection,
    log: Log,
    config: &WebhooksConfig,
    tenants: &Tenants,
    deployment: &Deployment,
    metrics: &Metrics,
    shutdown: Shutdown,
) -> Result<(), Error> {
    // If another provider is already installed, it serves just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ack_wait = deployment.ack_wait;
    let postponed = Postponed::new(connection.clone());
    let opening = async || {
        let suspects = Quarantine::open(&connection, DURABLE, First::InCompany).await?;
        Ok((
            suspects,
            postponed.ends(ack_wait).await?,
            postponed.read(ack_wait).await?,
        ))
    };
    let opened = shutdown.patiently(nats::Error::is_transient, opening);
    let (suspects, mut feed, mut due) = Box::pin(opened).await?;
    let sender = Arc::new(Sender {
        log,
        postponed,
        receivers: Receivers::default(),
        suspects,
        ack_wait,
        dead_letters: DeadLetters::new(connection.clone()),
        secrets: secrets(config, tenants)?,
        default_url: config.webhook_url.expose_secret().to_owned(),
        tenants: tenants.clone(),
        allow_private: config.webhook_allow_private,
        attempts: config.webhook_attempts,
        retry_delay: config.webhook_retry_delay,
        counted: metrics.webhooks.clone(),
    });
    let mut under_way = JoinSet::new();
    let pulse = metrics.pulses.begin("webhooks", "deliveries");
    let mut turn = tokio::time::interval(TURN_EVERY);
    tracing::info!("webhooks are delivered");
    loop {
        pulse.turns();
        let event = tokio::select! {
            _ = turn.tick() => continue,
            event = due.next() => event,
            event = feed.next() => event,
            () = shutdown.softly() => break,
        };
        let sender = sender.clone();
        // Each event is taken up at once, so that its wait for an answer is extended from the
        // beginning. The limits of the consumers bound their number.
        under_way.spawn(async move { sender.take(&event).await });
        while under_way.try_join_next().is_some() {}
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    shutdown.unless_hard(rest).await;
    Ok(())
}
