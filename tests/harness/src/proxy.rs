//! A TCP proxy between one process and a server, to cut that process off.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy on a loopback port of its own. It ends with all its connections when it is dropped.
pub struct Proxy {
    port: u16,
    link: watch::Sender<Link>,
    _connections: JoinSet<()>,
}

/// The state of the link, for all connections.
#[derive(Clone, Copy)]
struct Link {
    /// While the link is cut, no byte goes through.
    cut: bool,
    /// Connections of an earlier epoch are closed.
    epoch: u64,
}

impl Proxy {
    /// Starts a proxy for a server, named by its URL or its `host:port`.
    pub async fn start(upstream: &str) -> Self {
        let upstream = upstream
            .rsplit_once("//")
            .map_or(upstream, |(_, place)| place);
        let upstream = upstream.rsplit_once('@').map_or(upstream, |(_, it)| it);
        let upstream = upstream.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = watch::Sender::new(Link {
            cut: false,
            epoch: 0,
        });
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, upstream, link.clone()));
        Self {
            port,
            link,
            _connections: connections,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `host:port`. Put the scheme in front.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Cuts the link like a lost network: nobody is told, connections stay open, and what either
    /// side sends waits until the link is healed. A new connection is accepted and silent.
    pub fn cut(&self) {
        self.link.send_modify(|link| link.cut = true);
    }

    /// Heals the link. What was sent meanwhile arrives now, as TCP sends it again.
    pub fn heal(&self) {
        self.link.send_modify(|link| link.cut = false);
    }

    /// Closes all connections. New ones are served as the link allows.
    pub fn close_connections(&self) {
        self.link.send_modify(|link| link.epoch += 1);
    }
}

async fn accept(listener: TcpListener, upstream: String, link: watch::Sender<Link>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                connections.spawn(serve(client, upstream.clone(), link.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, upstream: String, mut link: watch::Receiver<Link>) {
    let epoch = link.borrow_and_update().epoch;
    let mut closed = link.clone();
    let served = async {
        if link.wait_for(|link| !link.cut).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect(&upstream).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Either end closes both.
        tokio::select! {
            () = pump(from_client, to_server, link.clone()) => {}
            () = pump(from_server, to_client, link.clone()) => {}
        }
    };
    tokio::select! {
        () = served => {}
        _ = closed.wait_for(|link| link.epoch != epoch) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // The bytes wait here while the link is cut.
        if link.wait_for(|link| !link.cut).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        proxy.close_connections();
        assert_eq!(stream.read(&mut byte).await.unwrap(), 0);
    }
}
