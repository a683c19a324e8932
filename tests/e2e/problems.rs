use std::io::Write;

use harness::{Answer, Valuer, World, until};
use reqwest::{Method, StatusCode};

use crate::{document, up};

#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], code);
    assert_eq!(body["type"], format!("urn:fanfold:problem:{code}"));
    assert_eq!(body["message"], body["detail"]);
    assert!(body["title"].is_string());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_error_has_one_form() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("PAYLOAD_MAX_BYTES", "100000")]).await;
    let client = program.client();
    let unknown = "/valuation/01a20d07-ceb0-71d2-8a80-d677f6148452";

    is_problem(&client.get("/nope").await, 404, "unknown-route");
    let refused = client.send(client.call(Method::DELETE, "/valuation")).await;
    is_problem(&refused, 405, "wrong-method");
    assert_eq!(refused.header("allow"), "POST");
    is_problem(&client.get("/valuation/x/status").await, 400, "invalid-id");
    for path in ["status", "results", "events", "tasks", "tasks/0/1"] {
        let answer = client.get(&format!("{unknown}/{path}")).await;
        is_problem(&answer, 404, "unknown-request");
    }
    is_problem(&client.submit("<a", "").await, 400, "malformed-xml");
    assert_eq!(client.submit("<vnml>\n</x>", "").await.json()["line"], 2);
    is_problem(&client.submit("x", "sync=maybe").await, 400, "invalid-sync");
    let post = || client.call(Method::POST, "/valuation");
    let answer = client.send(post().body("x")).await;
    is_problem(&answer, 415, "unsupported-media-type");
    let xml = || post().header("content-type", "text/xml");
    let answer = client
        .send(xml().header("content-encoding", "br").body("x"))
        .await;
    is_problem(&answer, 415, "unsupported-content-encoding");
    let answer = client
        .send(xml().header("content-encoding", "gzip").body("x"))
        .await;
    is_problem(&answer, 400, "body-unreadable");
    for path in ["results", "status", "events"] {
        let call = client.call(Method::GET, &format!("{unknown}/{path}"));
        let answer = client.send(call.header("accept", "image/png")).await;
        is_problem(&answer, 404, "unknown-request");
    }

    let call = client
        .call(Method::GET, "/nope")
        .header("accept", "application/xml");
    let answer = client.send(call).await;
    assert_eq!(answer.header("content-type"), "application/problem+xml");
    assert!(
        answer.body.contains("<code>unknown-route</code>"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn compressed_documents_are_read_and_limited_after_decompression() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("PAYLOAD_MAX_BYTES", "100000")]).await;
    let client = program.client();
    let document = document(1, 2);
    let packed = [
        ("gzip", gzip(&document)),
        ("zstd", zstd::encode_all(document.as_bytes(), 3).unwrap()),
    ];
    for (encoding, packed) in packed {
        let call = client.call(Method::POST, "/valuation?sync=Y");
        let call = call
            .header("content-type", "application/xml")
            .header("content-encoding", encoding);
        let answer = client.send(call.body(packed)).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}: {}", answer.body);
        assert!(answer.body.contains("102.00"));
    }
    let bomb = gzip(&" ".repeat(50_000_000));
    assert!(bomb.len() < 300_000);
    let call = client.call(Method::POST, "/valuation");
    let call = call
        .header("content-type", "application/xml")
        .header("content-encoding", "gzip");
    is_problem(
        &client.send(call.body(bomb)).await,
        413,
        "payload-too-large",
    );

    let wide = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-16\"?><vnml><project/></vnml>";
    let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let call = client.call(Method::POST, "/valuation?sync=Y");
    let call = call.header("content-type", "application/xml").body(wide);
    assert_eq!(client.send(call).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_request_is_gone_and_an_unknown_one_is_not_found_with_redis_and_without() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("REQUEST_TTL_SECONDS", "1")]).await;
    let client = program.client();
    let call = client.call(Method::POST, "/valuation?sync=Y");
    let call = call
        .header("content-type", "application/xml")
        .header("idempotency-key", "k");
    let body = document(1, 1);
    let done = client
        .send(call.try_clone().unwrap().body(body.clone()))
        .await;
    let id = done.header("x-request-id").to_owned();
    until("it has expired", || async {
        client.status(&id).await.status == StatusCode::GONE
    })
    .await;
    for flushed in [false, true] {
        if flushed {
            world.flush_redis().await;
        }
        for path in ["status", "results", "events", "tasks", "tasks/0/1"] {
            let answer = client.get(&format!("/valuation/{id}/{path}")).await;
            is_problem(&answer, 410, "request-expired");
            assert_eq!(answer.id(), id);
        }
        let unknown = "01a20d07-ceb0-71d2-8a80-d677f6148452";
        is_problem(&client.status(unknown).await, 404, "unknown-request");
    }
    let again = client.send(call.body(body)).await;
    is_problem(&again, 410, "request-expired");
    until("it is not listed", || async {
        let listed = client.get("/valuations").await.json();
        listed["valuations"].as_array().unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_answer_has_an_accepted_type_and_errors_come_before_406() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let submit = |document: String, accept: &str| {
        let call = client.call(Method::POST, "/valuation?sync=true");
        let call = call.header("content-type", "text/xml");
        client.send(call.header("accept", accept).body(document))
    };
    for (accept, kind) in [
        ("text/xml", "text/xml"),
        ("application/xml;q=0.1, text/xml", "text/xml"),
        ("application/*+xml", "application/xml"),
        ("application/json", "application/xml"),
    ] {
        let answer = submit(document(1, 1), accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("content-type"), kind, "{accept}");
    }
    let done = submit(document(1, 1), "*/*").await;
    let done = done.header("x-request-id").to_owned();
    let get = |path: String, accept: &str| {
        let call = client.call(Method::GET, &path);
        client.send(call.header("accept", accept))
    };
    for (path, accept, kind) in [
        ("results", "text/xml", "text/xml"),
        ("results", "TEXT/*;q=0.5", "text/xml"),
        ("results", "*/*", "application/xml"),
        ("status", "text/xml", "text/xml"),
        ("status", "application/*+xml", "application/xml"),
        ("status", "*/*", "application/json"),
    ] {
        let answer = get(format!("/valuation/{done}/{path}"), accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {accept}");
        assert_eq!(answer.header("content-type"), kind, "{path} {accept}");
        assert!(answer.header("vary").contains("accept"), "{path} {accept}");
    }
    for path in ["results", "status", "events"] {
        let answer = get(format!("/valuation/{done}/{path}"), "image/png").await;
        is_problem(&answer, 406, "not-acceptable");
    }
    let failing = "<vnml><project><group><valuation select='/no'/></group></project></vnml>";
    let failed = submit(failing.to_owned(), "*/*").await.id();
    let path = format!("/valuation/{failed}/results");
    for accept in ["application/json", "application/problem+json", "image/png"] {
        let answer = get(path.clone(), accept).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{accept}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let answer = get(path, "application/*+xml").await;
    assert_eq!(answer.header("content-type"), "application/problem+xml");
}

#[tokio::test]
async fn metadata_is_stored_unchanged_or_refused() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let secret = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let program = up(&world, &valuer, &[secret]).await;
    let client = program.client();
    let call = || client.call(Method::POST, "/valuation");
    let call = || {
        call()
            .header("content-type", "text/xml")
            .body(document(1, 1))
    };
    let tagged = call().header("x-tag", "a").header("x-tag", "b");
    let tagged = tagged.header("x-desk", "Z\u{fc}rich".as_bytes());
    let id = client.send(tagged).await.id();
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["metadata"]["x-tag"], "a, b");
    assert_eq!(status["metadata"]["x-desk"], "Z\u{fc}rich");
    let latin = client
        .send(call().header("x-desk", &b"Z\xfcrich"[..]))
        .await;
    is_problem(&latin, 400, "invalid-metadata");
    for callback in [
        "nonsense",
        "http://example.com/",
        "https://u:p@example.com/",
        "https://10.0.0.1/",
    ] {
        let answer = client.send(call().header("x-callback", callback)).await;
        is_problem(&answer, 400, "invalid-callback");
    }
    let answer = client
        .send(call().header("x-callback", "https://example.com/told"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    drop(program);
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "text/xml").body(document(1, 1));
    let answer = client
        .send(call.header("x-callback", "https://example.com/told"))
        .await;
    is_problem(&answer, 400, "invalid-callback");
    assert!(answer.body.contains("WEBHOOK_SECRET"), "{}", answer.body);
}
