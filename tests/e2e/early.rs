//! Answers that the API sends before it has read the body.

use harness::{Client, LIMIT, Valuer, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{document, up};

/// Sends a whole call before it reads anything of the answer.
async fn sent_first(client: &Client, head: &str, length: usize) -> String {
    let address = client.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let exchange = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b' '; 64 * 1024];
        let mut left = length;
        while left > 0 {
            let some = left.min(chunk.len());
            stream.write_all(&chunk[..some]).await.unwrap();
            left -= some;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(LIMIT, exchange).await.unwrap()
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_sends_everything_first() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let mib = 1024 * 1024;
    let xml = "content-type: text/xml";
    for (head, mebibytes, status, code) in [
        (
            "POST /valuations/new HTTP/1.1\r\na: b",
            8,
            404,
            "unknown-route",
        ),
        ("POST /valuations HTTP/1.1\r\na: b", 8, 405, "wrong-method"),
        (
            "POST /valuation HTTP/1.1\r\ncontent-type: text/json",
            8,
            415,
            "unsupported-media-type",
        ),
        (
            &format!("POST /valuation HTTP/1.1\r\n{xml}"),
            45,
            413,
            "payload-too-large",
        ),
        (
            &format!("POST /valuation HTTP/1.1\r\nhost: localhost\r\n{xml}"),
            8,
            400,
            "invalid-host",
        ),
        (
            &format!("POST /valuation?sync=maybe HTTP/1.1\r\n{xml}\r\nconnection: close"),
            8,
            400,
            "invalid-sync",
        ),
        (
            &format!("POST /valuation?x=%ff&sync=1&sync=0 HTTP/1.1\r\n{xml}"),
            8,
            400,
            "invalid-query",
        ),
        // Java's client does this by default. hyper hands such a connection over when it ends.
        (
            "POST /valuations/new HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAEAAEAA",
            8,
            404,
            "unknown-route",
        ),
        (
            &format!("POST /valuation HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade\r\n{xml}"),
            45,
            413,
            "payload-too-large",
        ),
    ] {
        let answer = sent_first(&client, head, mebibytes * mib).await;
        let (lines, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            lines.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {lines}"
        );
        assert!(lines.contains("connection: close"), "{head}: {lines}");
        assert!(
            body.contains(&format!("\"code\":\"{code}\"")),
            "{head}: {body}"
        );
    }
    assert_eq!(client.submit(&document(1, 1), "sync=yes").await.status, 200);
}

#[tokio::test]
async fn a_body_that_was_read_leaves_its_connection_open() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let address = client.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        let call = "POST /valuation HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/xml\r\n\
                    content-length: 2\r\n\r\n<a";
        stream.write_all(call.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains("malformed-xml\",") {
            let mut some = [0; 4_096];
            let read = stream.read(&mut some).await.unwrap();
            assert!(read > 0, "{answer}");
            answer += std::str::from_utf8(&some[..read]).unwrap();
        }
        assert!(!answer.contains("connection: close"), "{answer}");
        // Read all of it, so that the next answer starts cleanly.
        let length = answer.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let left = head.len() + 4 + length - answer.len();
        stream.read_exact(&mut vec![0; left]).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_offers_an_upgrade_and_breaks_off_frees_its_place() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("HTTP_CONNECTIONS_MAX", "2")]).await;
    let client = program.client();
    let address = client.base().strip_prefix("http://").unwrap();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /valuation HTTP/1.1\r\nhost: localhost\r\nupgrade: h2c\r\nconnection: upgrade\r\n\
                    content-type: text/xml\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The handler waits for the body. Then the caller disconnects.
        let mut said = [0; 12];
        let reading = tokio::time::timeout(LIMIT, stream.read_exact(&mut said)).await;
        reading.expect("there is a place for it").unwrap();
        assert_eq!(&said, b"HTTP/1.1 100");
        drop(stream);
        harness::until("the next has a place", || client.ready()).await;
    }
}
