use std::time::Duration;

use harness::{Client, Program, Valuer, World, until};
use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{document, up};

async fn connect(client: &Client) -> TcpStream {
    let address = client.base().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Reads until the server closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(harness::LIMIT, stream.read_to_end(&mut text)).await;
    read.expect("the server closes it").unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn connections_that_send_too_much_too_slowly_or_nothing_are_closed() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [
        ("FANFOLD_TEST_HTTP_HEADER_MAX_BYTES", "8192"),
        ("HTTP_IDLE_TIMEOUT_MS", "400"),
        ("FANFOLD_TEST_HTTP_BODY_TIMEOUT_MS", "400"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();

    let mut large = connect(&client).await;
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    // The server may answer and close before it has read everything.
    let _ = large.write_all(head.as_bytes()).await;
    let answer = until_closed(large).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") || answer.is_empty(),
        "{answer}"
    );

    let mut slow_head = connect(&client).await;
    slow_head
        .write_all(b"GET /healthz HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    until_closed(slow_head).await;

    let mut idle = connect(&client).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let answer = until_closed(idle).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let mut slow_body = connect(&client).await;
    let head = "POST /valuation HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/xml\r\n\
                content-length: 1000\r\n\r\n<vnml>";
    slow_body.write_all(head.as_bytes()).await.unwrap();
    let answer = until_closed(slow_body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"body-too-slow\""), "{answer}");
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_drain_ends_readiness_first_answers_waiting_callers_and_loses_nothing() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let others = [("EXECUTOR", valuer.url()), ("ENABLE_HTTP", "false")];
    let _others = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &others).await;
    let api = |delay| {
        let settings = [("DRAIN_DELAY_MS", delay)];
        let world = &world;
        async move { Program::start(env!("CARGO_BIN_EXE_fanfold"), "api", world, &settings).await }
    };
    let mut draining = api("2000").await;
    let client = draining.client();
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.submit(&document(1, 1), "sync=Y").await }
    });
    let id = harness::until_some("it is taken in", || async {
        let listed = client.get("/valuations").await.json();
        listed["valuations"][0]["requestId"]
            .as_str()
            .map(str::to_owned)
    })
    .await;
    client.until_status(&id, "running").await;

    draining.signal(Signal::TERM);
    until("readiness has turned", || async { !client.ready().await }).await;
    let not_ready = client.get("/readyz").await;
    assert_eq!(not_ready.json()["status"], "stopping");
    let pending = waits.await.unwrap();
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    assert_eq!(pending.json()["status"], "pending");
    assert_eq!(pending.id(), id);
    // A client that does not know of the drain yet is still served.
    let late = client.submit(&document(1, 1), "").await;
    assert_eq!(late.status, StatusCode::ACCEPTED);
    let ended = draining.stop().await;
    assert!(ended.success(), "{ended}: {}", draining.log());

    open.send_replace(true);
    let next = api("0").await;
    let client = next.client();
    for id in [id, late.id()] {
        client.until_status(&id, "succeeded").await;
    }
}

#[tokio::test]
async fn without_http_there_is_no_listener_and_requests_still_succeed() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let port = "18999";
    let settings = [
        ("EXECUTOR", valuer.url()),
        ("ENABLE_HTTP", "false"),
        ("HTTP_PORT", port),
    ];
    let mut silent = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let api = Program::start(env!("CARGO_BIN_EXE_fanfold"), "api", &world, &[]).await;
    let answer = api.client().submit(&document(1, 1), "sync=Y").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let refused = TcpStream::connect(format!("127.0.0.1:{port}")).await;
    assert!(refused.is_err(), "somebody listens");
    assert!(silent.stop().await.success());
    let mut alone = Program::start(
        env!("CARGO_BIN_EXE_fanfold"),
        "api",
        &world,
        &[("ENABLE_HTTP", "false")],
    )
    .await;
    let early = tokio::time::timeout(Duration::from_millis(500), alone.ended()).await;
    assert!(early.is_err(), "it ended by itself");
    assert!(alone.stop().await.success());
}
