use std::time::{Duration, Instant};

use harness::{Program, Valuer, World, until};
use redis::AsyncCommands;
use reqwest::{Method, StatusCode};

use crate::{document, history, up};

#[tokio::test]
async fn a_read_that_prefers_to_wait_is_answered_at_the_next_change() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let get = |path: String, wait: &str| client.call(Method::GET, &path).header("prefer", wait);

    let call = client
        .call(Method::POST, "/valuation")
        .header("prefer", "wait=1");
    let call = call.header("content-type", "application/xml");
    let begun = Instant::now();
    let pending = client.send(call.body(document(1, 1))).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    assert_eq!(pending.json()["status"], "pending");
    assert_eq!(pending.header("preference-applied"), "wait=1");
    let id = pending.id();
    client.until_status(&id, "running").await;

    let running = client.status(&id).await;
    let results = client
        .send(get(format!("/valuation/{id}/results"), "wait=1"))
        .await;
    assert_eq!(results.status, StatusCode::NOT_FOUND);
    assert_eq!(results.header("retry-after"), "1");

    let call = get(format!("/valuation/{id}/status"), "wait=1");
    let same = client
        .send(call.header("if-none-match", running.header("etag")))
        .await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);

    let status = client.send(get(format!("/valuation/{id}/status"), "wait=60"));
    let results = client.send(get(format!("/valuation/{id}/results"), "wait=60"));
    let begun = Instant::now();
    let (status, results, ()) = tokio::join!(status, results, async {
        open.send_replace(true);
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(status.json()["status"], "succeeded");
    assert_eq!(results.status, StatusCode::OK);
    assert_eq!(results.header("preference-applied"), "wait=60");
}

#[tokio::test]
async fn a_waiting_caller_is_answered_from_the_log_while_the_views_lag() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let settings = [("EXECUTOR", valuer.url())];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (api, mut projector) = (start("api").await, start("projector").await);
    let _rest = (start("orchestrator").await, start("worker").await);
    let client = api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let redis = world.redis().await;
    until("the view says that it runs", || async {
        let status: Option<String> = redis
            .clone()
            .hget(format!("state:request:{id}"), "status")
            .await
            .unwrap();
        status.as_deref() == Some("running")
    })
    .await;
    projector.kill().await;
    open.send_replace(true);
    until("it has ended", || async {
        let told = history(&world, &id).await;
        told.last().is_some_and(|last| last == "succeeded")
    })
    .await;

    let begun = Instant::now();
    for path in ["results", "status"] {
        let call = client.call(Method::GET, &format!("/valuation/{id}/{path}"));
        let answer = client.send(call.header("prefer", "wait=60")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn results_have_a_strong_tag_and_are_compressed_when_asked() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 5), "").await.id();
    client.until_status(&id, "succeeded").await;

    let results = client.results(&id).await;
    let tag = results.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 66, "{tag}");
    let path = format!("/valuation/{id}/results");
    let again = client
        .call(Method::GET, &path)
        .header("if-none-match", &tag);
    let again = client.send(again).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert_eq!(again.body, "");
    assert!(
        again
            .header("cache-control")
            .starts_with("private, max-age=")
    );

    for encoding in ["gzip", "zstd"] {
        let call = client
            .call(Method::GET, &path)
            .header("accept-encoding", encoding);
        let packed = client.http(call).await;
        assert_eq!(packed.headers()["content-encoding"], encoding);
        let packed_tag = packed.headers()["etag"].to_str().unwrap().to_owned();
        assert_ne!(packed_tag, tag);
        let bytes = packed.bytes().await.unwrap();
        assert!(bytes.len() < results.body.len());
        let call = client
            .call(Method::GET, &path)
            .header("if-none-match", &packed_tag);
        assert_eq!(client.send(call).await.status, StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn status_is_json_or_xml_by_the_accept_header() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    let call = client.call(Method::GET, &format!("/valuation/{id}/status"));
    let status = client.send(call.header("accept", "application/xml")).await;
    assert_eq!(status.header("content-type"), "application/xml");
    assert!(
        status.body.contains("<status>succeeded</status>"),
        "{}",
        status.body
    );
    assert!(
        status
            .body
            .contains("<groups><group><completed>1</completed>"),
        "{}",
        status.body
    );
}

#[tokio::test]
async fn a_read_with_a_sequence_never_gets_an_older_state() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let accepted = client.submit(&document(1, 1), "").await;
    let id = accepted.id();
    let sequence = accepted.header("fanfold-sequence").to_owned();
    assert_ne!(sequence, "");
    let read = |sequence: &str| {
        let call = client.call(Method::GET, &format!("/valuation/{id}/status"));
        client.send(call.header("fanfold-sequence", sequence))
    };
    let status = read(&sequence).await;
    assert_eq!(status.status, StatusCode::OK);
    let number = |text: &str| text.parse::<u64>().unwrap();
    assert!(number(status.header("fanfold-sequence")) >= number(&sequence));
    let last = client.until_status(&id, "succeeded").await["sequence"].to_string();
    world.flush_redis().await;
    assert_eq!(read(&last).await.json()["status"], "succeeded");
    let unreached = read("999999999").await;
    assert_eq!(unreached.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(unreached.json()["code"], "sequence-not-reached");
    assert_eq!(read("x").await.json()["code"], "invalid-sequence");
}
