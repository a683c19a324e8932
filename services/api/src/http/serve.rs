//! The listener. It limits connections, and runs each one in a task for which shutdown waits.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use runtime::{ApiConfig, Shutdown};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::connections::{self, Connections, Warnings};
use crate::http::line::{Answering, Line};
use crate::http::linger;
use crate::http::media;
use crate::http::problem::Problem;
use crate::http::socket::{Patience, Socket};
use crate::http::stream::Stream;
use crate::http::tls::{self, Handshake, PeerNames, Tls};

/// The pause after an accept fails, for example because too many files are open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// The smallest buffer that the HTTP implementation reads into.
const BUFFER_BYTES: usize = 64 * 1024;

/// How much of a call the server reads and drops after it has answered: this many times the largest
/// document, and at least the number of bytes below.
const DROPPED_FACTOR: usize = 4;
const DROPPED_BYTES: usize = 64 * 1024 * 1024;

/// The limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    pub head_max_bytes: usize,
    pub patience: Patience,
    /// How long the server still accepts connections after shutdown was requested.
    pub drain_delay: Duration,
}

impl From<&ApiConfig> for Limits {
    fn from(config: &ApiConfig) -> Self {
        Self {
            connections_max: config.http_connections_max,
            head_max_bytes: config.http_header_max_bytes,
            patience: Patience {
                idle: config.http_idle_timeout,
                head: config.http_head_timeout,
                write: config.http_write_timeout,
                rest: linger::Most {
                    bytes: config
                        .payload_max_bytes
                        .saturating_mul(DROPPED_FACTOR)
                        .max(DROPPED_BYTES),
                    time: config.http_body_timeout,
                },
            },
            drain_delay: config.drain_delay,
        }
    }
}

/// Serves until shutdown is requested. It goes on for a while, so that observers of `/readyz`
/// notice. Then it accepts nothing new and lets running calls finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    tls: Option<Tls>,
    shutdown: &Shutdown,
) {
    let mut look = tokio::time::interval(tls::LOOK_EVERY);
    let mut serving = Serving::new(router, limits, tls);
    let closing = async {
        shutdown.softly().await;
        tokio::time::sleep(limits.drain_delay).await;
    };
    tokio::pin!(closing);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = serving.tasks.join_next_with_id() => {
                serving.all.remove(ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            _ = look.tick(), if serving.tls.is_some() => {
                serving.tls.as_mut().map(Tls::look);
                continue;
            }
            () = &mut closing => break,
            () = shutdown.hardly() => break,
        };
        match accepted {
            Ok((stream, peer)) => serving.begin(stream, peer.into()),
            Err(error) => {
                if let Some(times) = serving.warnings.due() {
                    tracing::warn!(%error, times, "could not accept a connection");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    serving.closing.cancel();
    let ended = async { while serving.tasks.join_next().await.is_some() {} };
    shutdown.unless_hard(ended).await;
    serving.tasks.shutdown().await;
}

/// The server's connections and tasks.
struct Serving {
    http: http1::Builder,
    router: Router,
    limits: Limits,
    tls: Option<Tls>,
    /// Cancelled when every connection must close after its current call.
    closing: CancellationToken,
    tasks: JoinSet<()>,
    all: Connections,
    warnings: Warnings,
}

impl Serving {
    fn new(router: Router, limits: Limits, tls: Option<Tls>) -> Self {
        let mut http = http1::Builder::new();
        // The socket limits how long a head may take.
        http.max_header_size(limits.head_max_bytes)
            .max_buf_size(limits.head_max_bytes.max(BUFFER_BYTES));
        Self {
            http,
            router,
            limits,
            tls,
            closing: CancellationToken::new(),
            tasks: JoinSet::new(),
            all: Connections::new(connections::most(limits.connections_max)),
            warnings: Warnings::default(),
        }
    }

    /// Serves one more connection, or closes it at once when there is no place for it.
    fn begin(&mut self, stream: TcpStream, caller: crate::http::sharing::Caller) {
        let Ok(place) = self.all.place(caller) else {
            return;
        };
        let line = Line::new(caller, place);
        let handshake = self.tls.as_ref().map(Tls::handshake);
        let (http, router, patience) =
            (self.http.clone(), self.router.clone(), self.limits.patience);
        let (own, closing) = (line.clone(), self.closing.clone());
        let task = self.tasks.spawn(async move {
            let Some((stream, peer)) = begun(stream, handshake, &closing).await else {
                return own.end();
            };
            let socket = Socket::new(stream, own.clone(), patience);
            let of_calls = own.clone();
            let service = service_fn(move |request| {
                answer(router.clone(), of_calls.clone(), peer.clone(), request)
            });
            let connection = http.serve_connection(TokioIo::new(socket), service);
            let ended = until_closed(connection.with_upgrades(), &closing).await;
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            // hyper has let go of a connection that broke off, so this does not wait for it.
            if let Some(upgrade) = own.take_upgrade() {
                close_upgradeable(upgrade).await;
            }
            own.end();
        });
        self.all.insert(task.id(), line);
    }
}

/// The stream of a new connection, and the names of its client. `None` if the handshake of TLS fails
/// or takes too long.
async fn begun(
    stream: TcpStream,
    handshake: Option<Handshake>,
    closing: &CancellationToken,
) -> Option<(Stream, Option<PeerNames>)> {
    let Some(handshake) = handshake else {
        return Some((Stream::Plain(stream), None));
    };
    let shaken = Box::pin(handshake.shake(stream));
    let stream = closing.run_until_cancelled(shaken).await?;
    let told = |error: &std::io::Error| tracing::debug!(%error, "a handshake failed");
    let stream = stream.inspect_err(told).ok()?;
    let peer = tls::peer(&stream);
    Some((Stream::Encrypted(stream), peer))
}

/// Serves a connection until its end. After `closing`, the call in progress is the last. The
/// connection is dropped in any case: one that broke off would never tell about its upgrade.
async fn until_closed<S>(
    connection: http1::UpgradeableConnection<TokioIo<Socket>, S>,
    closing: &CancellationToken,
) -> Result<(), hyper::Error>
where
    S: HttpService<Incoming, ResBody = Answer, Error = Infallible>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// Closes a connection whose caller offered another protocol. hyper hands such a connection out
/// instead of closing it, and merely dropping it may lose the answer.
async fn close_upgradeable(upgrade: OnUpgrade) {
    if let Ok(upgraded) = upgrade.await
        && let Err(error) = TokioIo::new(upgraded).shutdown().await
    {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Answers a call.
async fn answer(
    router: Router,
    line: Arc<Line>,
    peer: Option<PeerNames>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    line.called();
    line.leave(!request.body().is_end_stream());
    let mut request = request;
    if request.headers().contains_key(header::UPGRADE) {
        line.keep_upgrade(hyper::upgrade::on(&mut request));
    }
    let answering = Answering(line.clone());
    let mut request = request.map(|body| Asked {
        body,
        line: line.clone(),
    });
    let mut response = if names_one_host(request.version(), request.headers()) {
        request.extensions_mut().insert(line.caller);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        router.oneshot(request).await?
    } else {
        let message = "a request needs one Host header: a host, optionally with a port";
        let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid-host", message);
        problem.written(media::prefers_xml(request.headers()))
    };
    if line.is_left() {
        // Unread bytes of the call are still on their way, so the connection cannot be used again.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response.map(|body| Answer {
        body,
        _answering: answering,
    }))
}

/// Whether a request has exactly one Host header (RFC 9112, 3.2). An empty Host is valid: a client
/// sends it when the target has no authority.
fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.is_empty() || is_host(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        _ => false,
    }
}

/// Whether this is a host with an optional port, and nothing else.
fn is_host(text: &[u8]) -> bool {
    Authority::try_from(text).is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// The body of a call. It records when all of it has been read.
struct Asked {
    body: Incoming,
    line: Arc<Line>,
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.line.leave(false);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. It records when the answer is complete.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_one_host() {
        let hosts = |count: usize| {
            let mut headers = HeaderMap::new();
            for _ in 0..count {
                headers.append(header::HOST, "x".parse().unwrap());
            }
            headers
        };
        assert!(names_one_host(Version::HTTP_11, &hosts(1)));
        assert!(!names_one_host(Version::HTTP_11, &hosts(0)));
        assert!(!names_one_host(Version::HTTP_11, &hosts(2)));
        assert!(names_one_host(Version::HTTP_10, &hosts(0)));
        assert!(!names_one_host(Version::HTTP_10, &hosts(2)));
        for (host, is_one) in [
            ("", true),
            ("example.com:8080", true),
            ("[::1]:80", true),
            ("a b", false),
            ("a/b", false),
            ("exa[mple", false),
            ("u@example.com", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(names_one_host(Version::HTTP_11, &headers), is_one, "{host}");
        }
    }
}
