//! Opening the places that a command reads, where the settings say that they are.

use std::path::Path;

use history::bundle::Bundle;
use history::live::{self, Live};
use history::source::Source;
use operations::Operations;
use projections::Store;
use runtime::{Documents, Settings};

use crate::Error;

/// The log. Without an address it is that of the server of `fanfold up` on this machine.
pub async fn live(settings: &Settings) -> Result<Live, Error> {
    let url = settings.nats_or_embedded();
    Ok(Live::open(&url, "fanfold-replay", settings.shards).await?)
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
    live::views(&settings.redis_or_embedded(), settings.request_ttl).await
}

/// The operations on the log.
pub fn operations(live: &Live, settings: &Settings) -> Operations {
    Operations::new(
        live.connection.clone(),
        live.log.clone(),
        Documents::default(),
        settings.rules(),
        settings.request_timeout,
    )
}
