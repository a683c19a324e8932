//! The listener: connections with limits, each a task that is waited for.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use runtime::{Settings, Shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The pause after a connection could not be taken in, as when there are too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What bounds a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub head_max_bytes: usize,
    pub idle: Duration,
    /// How long connections are still taken in after the process was asked to end.
    pub drain_delay: Duration,
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            head_max_bytes: settings.http_header_max_bytes,
            idle: Duration::from_millis(settings.http_idle_timeout_ms),
            drain_delay: Duration::from_millis(settings.drain_delay_ms),
        }
    }
}

/// Serves until this process is asked to end; then, when those who look at `/readyz` have had
/// time to see it, takes nothing new in and lets what is under way finish.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: &Shutdown) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head_max_bytes);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let closing = async {
        shutdown.softly().await;
        tokio::time::sleep(limits.drain_delay).await;
    };
    tokio::pin!(closing);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut closing => break,
            () = shutdown.hardly() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                let connection = http.serve_connection(connection(stream), service);
                let connection = graceful.watch(connection);
                connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    shutdown.unless_hard(graceful.shutdown()).await;
    connections.shutdown().await;
}

fn connection(stream: TcpStream) -> TokioIo<TcpStream> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its small packets back");
    }
    TokioIo::new(stream)
}
