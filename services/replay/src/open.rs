//! Opens the log, the bundle and the views that a command reads, at the addresses in the settings.

use std::path::Path;

use history::bundle::Bundle;
use history::live::{self, Live};
use history::source::Source;
use operations::Operations;
use projections::Store;
use runtime::{Documents, Settings};

use crate::Error;

/// The settings with the facts of the deployment, so that a tool reads the same log as the roles.
pub async fn adopted(settings: &Settings) -> Result<Settings, Error> {
    let stored = live(settings).await?.connection.facts().await?;
    let adopted = settings.adopt(&stored.facts, false);
    adopted.map_err(|error| Error::Usage(error.to_string()))
}

/// The log. Without an address, this is the log of the server of `fanfold up` on this machine.
pub async fn live(settings: &Settings) -> Result<Live, Error> {
    let options = settings
        .connections
        .nats("fanfold-replay", nats::Actor::Operator)?;
    let shards = settings.deployment.shards;
    Ok(Live::open(options, shards).await?)
}

/// The bundle, if one is named, and the log otherwise.
pub async fn source(bundle: Option<&Path>, settings: &Settings) -> Result<Source, Error> {
    Ok(match bundle {
        Some(path) => Source::Bundle(Box::new(Bundle::read(path)?)),
        None => Source::Live(Box::new(live(settings).await?)),
    })
}

/// The views. An error if Redis does not answer soon.
pub async fn views(settings: &Settings) -> Result<Store, history::Error> {
    let options = settings.connections.redis();
    let options = options.map_err(|error| history::Error::Unreachable(error.to_string()))?;
    live::views(&options, settings.deployment.request_ttl).await
}

/// The operations on the log.
pub fn operations(live: &Live, settings: &Settings) -> Operations {
    Operations::new(
        live.connection.clone(),
        live.log.clone(),
        Documents::default(),
        &settings.deployment,
    )
}
