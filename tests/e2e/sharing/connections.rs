use harness::{Valuer, World, until, until_some};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw::{call, connect, held, is_problem, rest};
use crate::up;

const HEALTHZ: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn one_address_cannot_take_all_connections_and_idle_ones_are_closed_for_others() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [
        ("HTTP_CONNECTIONS_MAX", "300"),
        ("FANFOLD_TEST_HTTP_BODY_TIMEOUT_MS", "600000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let mut own = Vec::new();
    for _ in 0..256 {
        own.push(held(&client, 1, 10).await.unwrap());
    }
    assert!(held(&client, 1, 10).await.is_none(), "it has its share");
    let mut others = Vec::new();
    for _ in 0..44 {
        others.push(held(&client, 2, 10).await.unwrap());
    }
    assert!(held(&client, 3, 10).await.is_none(), "nobody is idle");

    own.truncate(254);
    let mut idle = until_some("there is a place again", || async {
        let mut idle = connect(&client, 3, false).await;
        let _closed = idle.write_all(HEALTHZ).await;
        let mut said = [0; 12];
        let read = idle.read_exact(&mut said).await;
        read.is_ok().then_some(idle)
    })
    .await;
    let second = until_some("there is another one", || held(&client, 4, 10)).await;
    let third = until_some("the idle one makes room", || held(&client, 5, 10)).await;
    rest(&mut idle).await;
    drop((second, third, own, others));
    until("all is as it was", || client.ready()).await;
}

#[tokio::test]
async fn a_request_head_is_limited_in_time_from_its_first_byte_and_in_size() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("FANFOLD_TEST_HTTP_HEAD_TIMEOUT_MS", "500")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();

    let mut patient = connect(&client, 1, false).await;
    let mut slow = connect(&client, 1, false).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    assert_eq!(rest(&mut slow).await, "");
    // The client has been silent for longer than the limit on idle connections.
    patient.write_all(HEALTHZ).await.unwrap();
    let mut said = [0; 12];
    patient.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 200");

    let head = |bytes: usize| {
        let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-a: \r\n\r\n";
        head.replace("x-a: ", &format!("x-a: {}", "a".repeat(bytes - head.len())))
    };
    assert_eq!(head(65_536).len(), 65_536);
    let most = call(&client, 1, head(65_536).as_bytes()).await;
    assert!(most.starts_with("HTTP/1.1 200 "), "{most}");
    for bytes in [65_537, 100_000] {
        let refused = call(&client, 1, head(bytes).as_bytes()).await;
        is_problem(&refused, 431, "head-too-large");
    }
}

#[tokio::test]
async fn bytes_that_are_no_http_request_get_a_problem_too() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    for (text, code) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", "invalid-host"),
        (
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
            "invalid-host",
        ),
        ("GET /healthz\r\nthis is none\r\n\r\n", "invalid-request"),
        (
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx\x01: y\r\n\r\n",
            "invalid-request",
        ),
    ] {
        is_problem(&call(&client, 1, text.as_bytes()).await, 400, code);
    }
    let old = call(&client, 1, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 "), "{old}");
    // The problem answers the second call, and leaves the first answer intact.
    let both = [HEALTHZ, b"nonsense\r\n\r\n"].concat();
    let both = call(&client, 1, &both).await;
    assert!(both.starts_with("HTTP/1.1 200 "), "{both}");
    assert_eq!(both.matches("HTTP/1.1 400 ").count(), 1, "{both}");
}

#[tokio::test]
async fn a_caller_that_never_reads_its_answers_is_disconnected() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [
        ("HTTP_CONNECTIONS_MAX", "1"),
        ("FANFOLD_TEST_HTTP_WRITE_TIMEOUT_MS", "1000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    // The new client takes the only place from the idle client.
    let mut greedy = connect(&client, 2, true).await;
    let call = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    let _cut_off = tokio::time::timeout(harness::LIMIT, greedy.write_all(&call)).await;
    // An answer shows that it has the place. Before that, the idle client may still have it.
    let answered = tokio::time::timeout(harness::LIMIT, greedy.peek(&mut [0])).await;
    assert_eq!(answered.unwrap().unwrap(), 1);
    until("its place is another's", || client.ready()).await;
    let mut read = Vec::new();
    let _broken_off = tokio::time::timeout(harness::LIMIT, greedy.read_to_end(&mut read)).await;
    let answers = String::from_utf8_lossy(&read)
        .matches("HTTP/1.1 200 OK")
        .count();
    assert!((1..1_000).contains(&answers), "{answers}");
}
