//! The HTTP API: it takes documents in and lets their requests be read.

mod cancel;
mod check;
mod dead_letters;
mod failure;
mod health;
mod input;
mod read;
mod redrive;
mod results;
mod router;
mod state;
mod status;
mod submit;
mod waiters;

use std::net::SocketAddr;
use std::sync::Arc;

use nats::{Connection, Log};
use projections::Store;
use runtime::{Settings, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use router::router;
pub use state::Api;

/// Why the API cannot run.
#[derive(Debug)]
pub enum Error {
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The listener broke.
    Serve(std::io::Error),
    /// Following the log ended.
    Ended,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(
                f,
                "{address} cannot be listened on ({error}): free it, or set HTTP_PORT"
            ),
            Self::Serve(error) => write!(f, "the HTTP listener broke: {error}"),
            Self::Ended => f.write_str("following the log ended"),
        }
    }
}

impl std::error::Error for Error {}

/// Takes the address before anything else is started, so that a port in use is the first thing
/// to be said.
pub async fn bind(settings: &Settings) -> Result<TcpListener, Error> {
    let host = settings.http_host.parse().unwrap_or([127, 0, 0, 1].into());
    let address = SocketAddr::new(host, settings.http_port);
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::Listen(address, error))
}

/// Serves until it is asked to end, then lets the callers that wait have their answers.
pub async fn run(
    connection: Connection,
    log: Log,
    store: Store,
    listener: TcpListener,
    settings: &Settings,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let api = Arc::new(Api::new(
        connection.clone(),
        log,
        store,
        settings,
        &shutdown,
    ));
    let mut followers = JoinSet::new();
    for shard in 0..settings.shards {
        let api = api.clone();
        let (connection, shutdown) = (connection.clone(), shutdown.clone());
        followers.spawn(async move { api.waiters.follow(&connection, shard, &shutdown).await });
    }
    let soft = shutdown.clone();
    let serving = axum::serve(listener, router(api))
        .with_graceful_shutdown(async move { soft.softly().await });
    let served = shutdown.unless_hard(serving.into_future()).await;
    followers.shutdown().await;
    served.map_or(Ok(()), |served| served.map_err(Error::Serve))
}
