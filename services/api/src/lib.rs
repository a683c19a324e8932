//! The HTTP API: it takes documents in and lets their requests be read.

mod body;
mod cancel;
mod check;
mod coding;
mod conditional;
mod connections;
mod dead_letters;
mod documents;
mod door;
mod events;
mod failure;
mod follow;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod idempotency;
mod input;
mod intake;
mod line;
mod linger;
mod list;
mod media;
mod metadata;
mod openapi;
mod outcome;
mod partial;
mod preference;
mod query;
mod read;
mod redrive;
mod results;
mod roll;
mod router;
mod serve;
mod sharing;
mod socket;
mod state;
mod status;
mod stretch;
mod submit;
mod task;
mod task_index;
mod tasks;
mod waiters;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;

use nats::{Connection, Log};
use projections::Store;
use runtime::{InProcess, Settings, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use router::{openapi, router};
pub use state::Api;

/// Why the API cannot run.
#[derive(Debug)]
pub enum Error {
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(
                f,
                "{address} cannot be listened on ({error}): free it, or set HTTP_PORT"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Takes the address before anything else is started, so that a port in use is the first thing
/// to be said.
pub async fn bind(settings: &Settings) -> Result<TcpListener, Error> {
    let host = settings.http_host;
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
    in_process: InProcess,
    listener: TcpListener,
    settings: &Settings,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let api = Arc::new(Api::new(
        connection.clone(),
        log,
        store,
        in_process,
        settings,
        &shutdown,
    ));
    let mut beside = JoinSet::new();
    let (following, until) = (api.clone(), shutdown.clone());
    let shards = settings.shards;
    beside.spawn(async move { following.waiters.follow(&connection, shards, &until).await });
    let (watching, until) = (api.clone(), shutdown.clone());
    beside.spawn(async move { watching.door.watch(&watching.connection, &until).await });
    serve::serve(listener, router(api), settings.into(), &shutdown).await;
    beside.shutdown().await;
    Ok(())
}
