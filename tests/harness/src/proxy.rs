//! A TCP proxy between two processes, with which a test cuts or slows what passes between them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How much one read takes.
const CHUNK: usize = 64 * 1024;
/// How many chunks may be on their way in one direction of a connection. A sender that is faster
/// than the link then waits, as behind a full send buffer.
const IN_FLIGHT: usize = 64;

/// The condition of the link.
#[derive(Clone, Copy, Default)]
struct Condition {
    cut: bool,
    delay: Duration,
    bytes_per_second: Option<u32>,
    /// How often all connections were closed.
    resets: u64,
}

/// A link to one server. It ends on drop, with all its connections.
pub struct Proxy {
    port: u16,
    condition: Arc<watch::Sender<Condition>>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Starts a link to `upstream`, for example `127.0.0.1:4222` or the URL of a server, on a port of
    /// its own. The server need not listen yet.
    pub async fn start(upstream: &str) -> Self {
        let upstream = upstream
            .rsplit_once("//")
            .map_or(upstream, |(_, place)| place);
        let upstream = upstream.rsplit_once('@').map_or(upstream, |(_, it)| it);
        let upstream = upstream.trim_end_matches('/');
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let condition = Arc::new(watch::Sender::new(Condition::default()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, upstream.to_owned(), condition.clone()));
        Self {
            port,
            condition,
            _serving: serving,
        }
    }

    /// The port of the link.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the link, in place of `upstream`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lets nothing pass from now on, without a word to either side, as a pulled cable does. What
    /// is sent meanwhile arrives after `heal`, unless its sender has given up by then. A new
    /// connection gets no answer.
    pub fn cut(&self) {
        self.condition.send_modify(|now| now.cut = true);
    }

    /// Delays everything by this much, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.condition.send_modify(|now| now.delay = delay);
    }

    /// Lets this many bytes pass in a second, per connection and direction.
    pub fn limit(&self, bytes_per_second: u32) {
        self.condition
            .send_modify(|now| now.bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// Ends a cut, a delay and a limit.
    pub fn heal(&self) {
        self.condition.send_modify(|now| {
            *now = Condition {
                resets: now.resets,
                ..Condition::default()
            };
        });
    }

    /// Closes all open connections at once. New ones are served.
    pub fn reset(&self) {
        self.condition.send_modify(|now| now.resets += 1);
    }
}

async fn serve(listener: TcpListener, upstream: String, condition: Arc<watch::Sender<Condition>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An accept fails where the caller has gone, or for want of descriptors.
                let Ok((near, _)) = accepted else { continue };
                connections.spawn(connection(near, upstream.clone(), condition.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(near: TcpStream, upstream: String, condition: watch::Receiver<Condition>) {
    let resets = condition.borrow().resets;
    let mut until_reset = condition.clone();
    let relayed = async {
        open(&mut condition.clone()).await;
        let Ok(far) = TcpStream::connect(&upstream).await else {
            return;
        };
        // Without it, a small message would wait for the ack of the one before.
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        // Either direction may end first: then both sides see the connection closed.
        tokio::select! {
            () = relay(near_read, far_write, condition.clone()) => {}
            () = relay(far_read, near_write, condition.clone()) => {}
        }
    };
    tokio::select! {
        () = relayed => {}
        _ = until_reset.wait_for(|now| now.resets != resets) => {}
    }
}

/// Waits while the link is cut.
async fn open(condition: &mut watch::Receiver<Condition>) {
    // The sender is gone when the proxy is, and then this connection is dropped too.
    let _ = condition.wait_for(|now| !now.cut).await;
}

/// Passes one direction on, each chunk after its delay.
async fn relay(mut from: OwnedReadHalf, to: OwnedWriteHalf, condition: watch::Receiver<Condition>) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let delays = condition.clone();
    let reading = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let Ok(length @ 1..) = from.read(&mut chunk).await else {
                return;
            };
            chunk.truncate(length);
            let due = Instant::now() + delays.borrow().delay;
            if sender.send((due, chunk)).await.is_err() {
                return;
            }
        }
    };
    // What was read before the end of the connection is still passed on.
    tokio::join!(reading, write(receiver, to, condition));
}

async fn write(
    mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mut condition: watch::Receiver<Condition>,
) {
    while let Some((due, chunk)) = chunks.recv().await {
        tokio::time::sleep_until(due).await;
        open(&mut condition).await;
        let limit = condition.borrow().bytes_per_second;
        if let Some(limit) = limit {
            let seconds = f64::from(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
            tokio::time::sleep(Duration::from_secs_f64(seconds / f64::from(limit))).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        (place, serving)
    }

    #[tokio::test]
    async fn bytes_of_a_cut_link_wait_until_it_is_healed() {
        let (place, _echo) = echo().await;
        let proxy = Proxy::start(&place).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let mut byte = [0];
        stream.write_all(b"a").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        proxy.cut();
        stream.write_all(b"b").await.unwrap();
        let reading = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte));
        assert!(reading.await.is_err(), "a byte came through a cut link");
        proxy.heal();
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        proxy.reset();
        assert_eq!(stream.read(&mut byte).await.unwrap(), 0);
    }
}
