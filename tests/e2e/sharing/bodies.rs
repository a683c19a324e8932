use std::io::Write;

use harness::{Client, Valuer, World, until, until_some};
use reqwest::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::raw::{call, held, is_problem, rest};
use crate::{document, up};

/// Submits an invalid document of this length.
async fn submit(client: &Client, from: u8, length: usize) -> String {
    let head = format!(
        "POST /valuation HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: text/xml\r\n\
         content-length: {length}\r\n\r\n"
    );
    call(
        client,
        from,
        &[head.as_bytes(), &vec![b'x'; length]].concat(),
    )
    .await
}

/// Sends a body of 400,000 bytes, without its last byte, from one address. Returns how the API
/// refuses a body of 250,000 bytes from another address meanwhile. `None` if it refused the first
/// one, which may have arrived after the second.
async fn holds(client: &Client, from: u8, second: u8) -> Option<(TcpStream, String)> {
    let mut stream = held(client, from, 400_000).await?;
    stream.write_all(&vec![b'x'; 399_999]).await.unwrap();
    for _ in 0..20 {
        client.ready().await;
    }
    let answer = submit(client, second, 250_000).await;
    answer
        .starts_with("HTTP/1.1 503 ")
        .then_some((stream, answer))
}

#[tokio::test]
async fn one_address_cannot_take_all_memory_for_bodies_and_gives_it_back() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [
        ("FANFOLD_TEST_HTTP_BODIES_MAX_BYTES", "1000000"),
        ("PAYLOAD_MAX_BYTES", "400000"),
        ("FANFOLD_TEST_HTTP_BODY_TIMEOUT_MS", "600000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let (mut own, refused) = until_some("it has its share", || holds(&client, 1, 1)).await;
    is_problem(&refused, 503, "overloaded");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    is_problem(&submit(&client, 2, 250_000).await, 400, "malformed-xml");

    let (mut other, refused) = until_some("all room is taken", || holds(&client, 2, 3)).await;
    is_problem(&refused, 503, "overloaded");
    for stream in [&mut own, &mut other] {
        stream.write_all(b"x").await.unwrap();
        is_problem(&rest(stream).await, 400, "malformed-xml");
    }
    is_problem(&submit(&client, 3, 250_000).await, 400, "malformed-xml");
}

#[tokio::test]
async fn a_slow_body_is_408_on_every_route_that_has_one() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("FANFOLD_TEST_HTTP_BODY_TIMEOUT_MS", "300")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = "01a20d07-ceb0-71d2-8a80-d677f6148452";
    for path in [
        "/valuation",
        "/valuation/check",
        &format!("/valuation/{id}/cancel"),
        &format!("/valuation/{id}/redrive"),
        "/dead-letters/redrive",
        "/dead-letters/discard",
    ] {
        let takes_xml = matches!(path, "/valuation" | "/valuation/check");
        let kind = if takes_xml {
            "text/xml"
        } else {
            "application/json"
        };
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
             content-length: 100\r\n\r\n<"
        );
        let answer = call(&client, 1, text.as_bytes()).await;
        is_problem(&answer, 408, "body-too-slow");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str, window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let window = zstd::stream::raw::CParameter::WindowLog(window_log);
    encoder.set_parameter(window).unwrap();
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_encoded_body_is_read_to_its_end_and_no_window_exceeds_8_mib() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let text = document(1, 1);
    let (start, end) = text.split_at(text.len() / 2);
    let whole = gzip(&text);
    for (coding, body, status, said) in [
        ("X-GZip", [gzip(start), gzip(end)].concat(), 202, ""),
        ("identity", text.clone().into(), 202, ""),
        ("zstd", [zstd(start, 10), zstd(end, 23)].concat(), 202, ""),
        ("zstd", zstd(&text, 24), 400, "8388608"),
        ("gzip", [&whole[..], b"x"].concat(), 400, "body-unreadable"),
        ("gzip", whole[..whole.len() - 1].into(), 400, "ended early"),
        (
            "gzip, zstd",
            whole.clone(),
            415,
            "unsupported-content-encoding",
        ),
    ] {
        let call = client
            .call(Method::POST, "/valuation")
            .header("content-type", "text/xml")
            .header("content-encoding", coding);
        let answer = client.send(call.body(body)).await;
        assert_eq!(answer.status, status, "{coding}: {}", answer.body);
        assert!(answer.body.contains(said), "{coding}: {}", answer.body);
    }
    until("they are done", || async {
        let done = client.get("/valuations?status=succeeded").await.json();
        done["valuations"].as_array().unwrap().len() == 3
    })
    .await;
}
