//! The projector: it folds the log into the views in Redis and publishes the lifecycle feed.

mod again;
mod error;
mod feed;
mod project;
#[cfg(test)]
mod scene;
mod shard;
mod standing;
mod stops;
mod suspects;
mod verifier;
mod views;

use std::time::Instant;

use domain::request::Sequence;
use metrics::Metrics;
use nats::{Connection, Deliveries, Feed, Log, LogReader, Topology};
use projections::Store;
use runtime::{Deployment, Shutdown};
use tokio::task::JoinSet;

pub use error::Error;
use shard::Shard;
use standing::Standing;
use stops::Stops;
use suspects::Suspects;
use verifier::Verifier;
use views::Views;

/// Runs the projector until it is asked to end.
pub async fn run(
    connection: Connection,
    log: Log,
    store: Store,
    (deployment, topology): (&Deployment, &Topology),
    metrics: &Metrics,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let mut shards = JoinSet::new();
    for shard in 0..deployment.shards {
        let opening = || open(&connection, shard);
        let opened = shutdown.patiently(Error::is_transient, opening).await?;
        let (deliveries, suspects) = opened;
        let pulse = metrics.pulses.begin("projector", format!("shard-{shard}"));
        let shard = Shard {
            number: shard,
            views: Views::new(connection.clone(), log.clone(), store.clone()),
            standing: Standing::unknown(store.clone()),
            log: log.clone(),
            stops: Stops::new(store.clone()),
            feed: Feed::new(connection.clone()),
            connection: connection.clone(),
            published: None,
            noted: (Sequence::NONE, Instant::now()),
            topology: topology.clone(),
            singly: false,
            suspects,
            counted: metrics.projector.clone(),
            pulse,
        };
        let verifier = Verifier::new(
            shard.number,
            connection.clone(),
            log.clone(),
            store.clone(),
            deployment.verify_requests_per_hour,
            metrics.projector.verifier.clone(),
        );
        shards.spawn(shard.run(deliveries, shutdown.clone()));
        shards.spawn(verifier.run(shutdown.clone()));
    }
    tracing::info!(shards = deployment.shards, "projector runs");
    while let Some(ended) = shards.join_next().await {
        match ended {
            Ok(Ok(())) if shutdown.is_soft() => {}
            Ok(Err(error)) => return Err(error),
            _ => return Err(Error::Ended),
        }
    }
    Ok(())
}

async fn open(connection: &Connection, shard: u8) -> Result<(Deliveries, Suspects), Error> {
    let deliveries = Deliveries::of_log(connection, shard, LogReader::Projector).await?;
    Ok((deliveries, Suspects::open(connection, shard).await?))
}
