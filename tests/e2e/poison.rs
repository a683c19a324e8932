use async_nats::HeaderMap;
use domain::request::RequestId;
use harness::{Client, Program, Valuer, World, until, until_some};
use redis::AsyncCommands;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{document, fanfold, up};

const REQUEST: &str = "01a20d07-ceb0-71d2-8a80-d677f6148452";

/// Publishes an unreadable message, and waits until the broker has stored it.
async fn publish(world: &World, subject: String, body: &'static [u8]) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    headers.insert("Fanfold-Mark", "kept");
    let jetstream = world.jetstream().await;
    let sent = jetstream.publish_with_headers(subject, headers, body.into());
    sent.await.unwrap().await.unwrap();
}

async fn unreadable(client: &Client) -> Vec<Value> {
    let letters = client.get("/dead-letters?type=unreadable").await.json();
    letters["deadLetters"].as_array().unwrap().clone()
}

fn partition() -> u8 {
    REQUEST.parse::<RequestId>().unwrap().partition().number()
}

#[tokio::test]
async fn an_unreadable_message_becomes_a_dead_letter_unchanged_and_blocks_nothing() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    // At its start the orchestrator drops the content of queues that were lost.
    until("the orchestrator runs", || async {
        program.log().contains("orchestrator runs")
    })
    .await;
    let partition = partition();
    let body: &[u8] = b"{ not \xff JSON";
    // Publish this first, so that every report about the request finds an unreadable log.
    publish(&world, format!("requests.{partition}.{REQUEST}"), body).await;
    publish(&world, format!("reports.{partition}.{REQUEST}.0.1"), body).await;
    publish(
        &world,
        format!("tasks.default.{partition}.{REQUEST}.0.1"),
        body,
    )
    .await;
    let id = client.submit(&document(2, 3), "").await.id();
    client.until_status(&id, "succeeded").await;
    // The failure of the task concerns a request that cannot be read, so it is a dead letter too:
    // four in all.
    let letters = until_some("all are set aside", || async {
        let letters = unreadable(&client).await;
        (letters.len() == 4).then_some(letters)
    })
    .await;
    for letter in &letters {
        assert_eq!(letter["code"], "unreadable");
        assert_eq!(letter["requestId"], REQUEST);
        let path = format!("/dead-letters/{}", letter["id"].as_str().unwrap());
        let shown = client.get(&path).await.json();
        let subject = shown["unreadable"]["subject"].as_str().unwrap();
        assert!(subject.contains(REQUEST), "{shown}");
        if shown["unreadable"]["headers"]["Fanfold-Mark"].is_string() {
            assert!(
                shown["unreadable"]["body"]
                    .as_str()
                    .unwrap()
                    .starts_with("{ not")
            );
        }
    }
    let of_request = client
        .get(&format!("/dead-letters?request={REQUEST}"))
        .await
        .json();
    assert_eq!(of_request["deadLetters"].as_array().unwrap().len(), 4);
    // After a retry the message is as unreadable as before, and becomes a dead letter again.
    let said = fanfold(
        &world,
        &[
            "dead-letters",
            "redrive",
            "--type",
            "unreadable",
            "--reason",
            "try again",
        ],
    )
    .await;
    assert!(
        said.out.contains("a commit stays in the log"),
        "{}",
        said.out
    );
    until("they are set aside again", || async {
        unreadable(&client).await.len() >= 4
    })
    .await;
}

#[tokio::test]
async fn a_view_that_meets_an_unreadable_event_stops_and_says_so_while_others_go_on() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url())];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let _rest = (start("orchestrator").await, start("worker").await);
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let mut projector = Program::start(binary, "projector", &world, &[]).await;
    let health = projector.admin();
    until("the projector is ready", || health.ready()).await;
    assert_eq!(health.get("/healthz").await.status, StatusCode::OK);
    let client = api.client();

    publish(
        &world,
        format!("requests.{}.{REQUEST}", partition()),
        b"[{\"of-tomorrow\":{}}]",
    )
    .await;
    until("the projector says so", || async {
        health.get("/readyz").await.json()["status"] == "degraded"
    })
    .await;
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    for _ in 0..2 {
        let said = health.get("/readyz").await;
        // One view must not hold up every roll-out of the projector.
        assert_eq!(said.status, StatusCode::OK);
        let said = said.json();
        assert_eq!(said["status"], "degraded");
        assert_eq!(said["degraded"], serde_json::json!(["stopped-views"]));
        assert_eq!(said["stoppedViews"][0]["requestId"], REQUEST);
        let reason = said["stoppedViews"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("of-tomorrow"), "{reason}");
        let said = client.get("/readyz").await;
        assert_eq!(said.status, StatusCode::OK, "the API serves all others");
        assert_eq!(said.json()["stoppedViews"][0]["requestId"], REQUEST);
        assert!(
            projector
                .log()
                .contains("the view of a request stops at this commit")
        );
        until("it is counted", || async {
            let told = health.get("/metrics").await.body;
            told.contains("fanfold_views_stopped{shard=\"0\"} 1.0\n")
        })
        .await;
        // The same after a restart and with an empty Redis: the view neither ends nor skips the
        // commit.
        projector.kill().await;
        world.flush_redis().await;
        projector.restart().await;
        until("the projector says so again", || async {
            let answer = health.call(reqwest::Method::GET, "/readyz").send().await;
            let Ok(answer) = answer else { return false };
            answer.text().await.unwrap().contains("stopped-views")
        })
        .await;
        client.until_status(&id, "succeeded").await;
    }
}

#[tokio::test]
async fn a_view_that_another_version_stopped_resumes_with_one_that_can_read_it() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let mut program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "succeeded").await;
    program.kill().await;
    // The state that a version leaves if it could not read its last commit.
    let mut redis = world.redis().await;
    let stopped = json!({
        "requestId": id, "sequence": 2, "reason": "of tomorrow", "stoppedAt": "2026-01-01T00:00:00Z",
    });
    let (key, view) = ("state:projector:stopped", format!("state:request:{id}"));
    let _: u64 = redis.hset(key, &id, stopped.to_string()).await.unwrap();
    let _: u64 = redis.del(&view).await.unwrap();
    program.restart().await;
    until("it goes on", || {
        let mut redis = redis.clone();
        async move { redis.hlen::<_, u64>(key).await.unwrap() == 0 }
    })
    .await;
    let status: String = redis.hget(&view, "status").await.unwrap();
    assert_eq!(status, "succeeded");
    assert_eq!(
        client.get("/readyz").await.json()["stoppedViews"],
        json!([])
    );
}
