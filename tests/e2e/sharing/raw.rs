//! Raw connections that a test writes to, from any loopback address.

use harness::{Client, LIMIT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Connects from `127.0.0.<from>`. A small window fills up soon.
pub async fn connect(client: &Client, from: u8, small: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, from], 0).into()).unwrap();
    if small {
        socket.set_recv_buffer_size(4_096).unwrap();
    }
    let address = client.base().strip_prefix("http://").unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// Reads until the server closes or resets the connection.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut text)).await;
    let _broken_off = read.expect("the server closes it");
    String::from_utf8_lossy(&text).into_owned()
}

/// The answer to a call that is sent whole and is the last on its connection.
pub async fn call(client: &Client, from: u8, text: &[u8]) -> String {
    let mut stream = connect(client, from, false).await;
    // The server may answer and close before it has read everything.
    let _closed = stream.write_all(text).await;
    rest(&mut stream).await
}

/// A call whose body the server waits for; `None` if the server does not accept the connection.
pub async fn held(client: &Client, from: u8, length: usize) -> Option<TcpStream> {
    let mut stream = connect(client, from, false).await;
    let head = format!(
        "POST /valuation HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: text/xml\r\n\
         expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    let _closed = stream.write_all(head.as_bytes()).await;
    let mut said = [0; 25];
    let read = tokio::time::timeout(LIMIT, stream.read_exact(&mut said)).await;
    let read = read.expect("the server answers or closes it");
    read.is_ok()
        .then(|| assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n"))?;
    Some(stream)
}

#[track_caller]
pub fn is_problem(answer: &str, status: u16, code: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
}
