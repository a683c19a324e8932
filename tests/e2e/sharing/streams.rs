use harness::{Client, Reply, Valuer, World, result_of, until, until_some};
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw::connect;
use crate::{document, up};

async fn follow(client: &Client, id: &str) -> Response {
    let call = client.call(Method::GET, &format!("/valuation/{id}/events"));
    client
        .http(call.header("accept", "text/event-stream"))
        .await
}

/// Opens an event stream, reads its head and nothing more; `None` if the server has not noticed yet
/// that the client left the stream before.
async fn silent_reader(client: &Client, id: &str) -> Option<TcpStream> {
    let mut stream = connect(client, 2, true).await;
    let call = format!(
        "GET /valuation/{id}/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.unwrap();
    (&said == b"HTTP/1.1 200").then_some(stream)
}

#[tokio::test]
async fn event_streams_take_no_place_of_waiting_callers_and_a_silent_reader_is_disconnected() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.group > 0 {
            std::future::pending::<()>().await;
        }
        Reply::Result(result_of(&call))
    })
    .await;
    let settings = [
        ("FANFOLD_TEST_EVENT_STREAMS_MAX", "1"),
        ("FANFOLD_TEST_SYNC_WAITERS_MAX", "1"),
        ("SYNC_WAIT_TIMEOUT_MS", "500"),
        ("FANFOLD_TEST_SSE_HEARTBEAT_MS", "100"),
        ("FANFOLD_TEST_HTTP_WRITE_TIMEOUT_MS", "2000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(2, 100), "").await.id();
    until("its second group runs", || async {
        client.status(&id).await.json()["currentGroup"] == 1
    })
    .await;

    let stream = follow(&client, &id).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let second = follow(&client, &id).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(second.headers()["retry-after"], "1");
    assert!(second.text().await.unwrap().contains("too-many-streams"));
    let waited = client.submit(&document(1, 1), "sync=Y").await;
    assert!(waited.status.is_success(), "{}", waited.body);
    drop(stream);
    until("its place is free", || async {
        follow(&client, &id).await.status() == StatusCode::OK
    })
    .await;

    // The history is larger than the window of the client.
    let silent = until_some("the silent reader has the place", || {
        silent_reader(&client, &id)
    })
    .await;
    assert_eq!(
        follow(&client, &id).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    until("the silent reader is cut off", || async {
        follow(&client, &id).await.status() == StatusCode::OK
    })
    .await;
    drop(silent);
    client
        .send(
            client
                .call(Method::POST, &format!("/valuation/{id}/cancel"))
                .body("{\"reason\":\"the test is over\"}"),
        )
        .await;
}
