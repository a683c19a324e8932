//! A minimal HTTP client for hostile callers: one connection a request, from any loopback address,
//! and an answer even if the server did not read the whole request.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The address of ordinary callers.
pub const ORDINARY: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The address of hostile callers, so that limits by address apply.
pub const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Connects to the program from an address.
pub async fn connect(port: u16, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let stream = stream.await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The head of a request, including the empty line.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    let posts = method == "POST";
    if posts && !headers.iter().any(|(name, _)| *name == "content-type") {
        head.push_str("content-type: application/xml\r\n");
    }
    // Writing to a String cannot fail.
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(head, "content-length: {length}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Sends a request and reads the answer, within a time limit.
pub async fn send(
    port: u16,
    from: Ipv4Addr,
    request: &[u8],
    within: Duration,
) -> Result<Answer, String> {
    match tokio::time::timeout(within, exchange(port, from, request)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", within.as_secs())),
    }
}

pub async fn get(
    port: u16,
    from: Ipv4Addr,
    path: &str,
    within: Duration,
) -> Result<Answer, String> {
    send(port, from, &head("GET", path, &[], None), within).await
}

/// A POST.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = head("POST", path, headers, Some(body.len()));
    request.extend_from_slice(body);
    request
}

async fn exchange(port: u16, from: Ipv4Addr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(port, from).await?;
    let (mut reading, mut writing) = stream.split();
    let mut bytes = Vec::new();
    let (read, wrote) = {
        let mut read = std::pin::pin!(reading.read_to_end(&mut bytes));
        // A server that refuses a request need not read all of it.
        tokio::select! {
            read = &mut read => (read, Ok(())),
            wrote = writing.write_all(request) => (read.await, wrote),
        }
    };
    // A connection may be reset after a complete answer.
    if let Some(answer) = parse(&bytes) {
        return Ok(answer);
    }
    read?;
    wrote?;
    Err(io::Error::other("closed without an answer"))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end])
        .ok()?
        .to_ascii_lowercase();
    let status = head.get(9..12)?.parse().ok()?;
    let value = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let body = &bytes[end..];
    let body = match (value("content-length"), value("transfer-encoding")) {
        (Some(length), _) => body.get(..length.trim().parse().ok()?)?.to_vec(),
        (None, Some(_)) => dechunked(body)?,
        (None, None) => body.to_vec(),
    };
    Some(Answer { status, body })
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(all);
        }
        all.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 2 + size + 2..)?;
    }
}
