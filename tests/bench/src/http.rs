//! A minimal HTTP client for the load, so that the callers cost little of the machine.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A persistent connection.
pub struct Caller {
    stream: TcpStream,
    buffer: BytesMut,
    /// The header fields of every call: the address, and the credential if there is one.
    fields: String,
}

/// The environment variable with a key or a JWT that every call of the load carries.
const BEARER: &str = "BENCH_BEARER";

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Caller {
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut fields = format!("Host: {address}\r\n");
        if let Ok(credential) = std::env::var(BEARER) {
            fields.extend(["Authorization: Bearer ", &credential, "\r\n"]);
        }
        Self {
            stream,
            buffer: BytesMut::with_capacity(64 * 1024),
            fields,
        }
    }

    /// Submits a document and reads the answer.
    pub async fn submit(&mut self, document: &str, sync: bool) -> Answer {
        let head = format!(
            "POST /valuation?sync={} HTTP/1.1\r\n{}Content-Type: application/xml\r\n\
             Content-Length: {}\r\n\r\n",
            if sync { "Y" } else { "N" },
            self.fields,
            document.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(document.as_bytes());
        self.stream.write_all(&request).await.unwrap();
        self.answer().await
    }

    /// Reads a path.
    pub async fn get(&mut self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.fields);
        self.stream.write_all(head.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.advance(end);
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        });
        let length: usize = length.expect("an answer with its length").parse().unwrap();
        while self.buffer.len() < length {
            self.more().await;
        }
        let body = self.buffer.split_to(length).to_vec();
        Answer { status, body }
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the connection was closed");
    }
}
