//! A request that cannot be projected must not affect the others.

use domain::request::RequestId;
use harness::{Client, Program, Valuer, World, until};
use redis::AsyncCommands as _;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{document, up};

async fn submit(client: &Client, key: &str) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let call = call.header("idempotency-key", key);
    client.send(call.body(document(2, 1))).await.id()
}

/// The request and the reason of the stopped view, from `/readyz`.
async fn stopped(client: &Client) -> (String, String) {
    let said = client.get("/readyz").await;
    assert_eq!(said.status, StatusCode::OK, "the API serves all others");
    let said = said.json();
    let view = &said["stoppedViews"][0];
    let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
    (text("requestId"), text("reason"))
}

/// Whether Redis has the view of a request.
async fn has_view(world: &World, id: &str) -> bool {
    let key = format!("state:request:{id}");
    world.redis().await.exists(key).await.unwrap()
}

async fn nothing_waits(client: &Client) {
    until("nothing waits to be projected", || async {
        client.get("/readyz").await.json()["oldestUnprojectedSeconds"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_view_with_a_key_of_another_type_is_written_anew_and_stops_nobody() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = RequestId::of_key("anonymous", "refused").to_string();
    let groups = format!("state:request:{id}:groups");
    let redis = &mut world.redis().await;
    let () = redis.set(&groups, "no hash").await.unwrap();
    assert_eq!(submit(&client, "refused").await, id);
    let other = submit(&client, "other").await;
    for id in [&id, &other] {
        client.until_status(id, "succeeded").await;
        until("it has its view", || has_view(&world, id)).await;
    }
    nothing_waits(&client).await;
    let said = client.get("/readyz").await.json();
    assert_eq!(said["stoppedViews"], json!([]));
    let group: Option<String> = redis.hget(&groups, "0").await.unwrap();
    assert!(group.is_some());
}

/// How often a projector may end: twice with the rest of its batch, once while it catches up, and
/// twice alone.
const ENDS_MAX: usize = 5;

#[tokio::test]
async fn a_commit_that_ends_every_projector_stops_only_its_own_view() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let id = RequestId::of_key("anonymous", "poison").to_string();
    let poison = format!("projector:abort:{id}");
    let settings = [
        ("EXECUTOR", valuer.url()),
        ("ACK_WAIT_MS", "1000"),
        ("TAKEOVER_AFTER_MS", "500"),
        ("FANFOLD_POISON", poison.as_str()),
    ];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let _others = (start("orchestrator").await, start("worker").await);
    let mut projector = start("projector").await;
    let client = api.client();
    let before = submit(&client, "before").await;
    assert_eq!(submit(&client, "poison").await, id);
    let after = submit(&client, "after").await;
    let others = until("the others have their views", || async {
        has_view(&world, &before).await && has_view(&world, &after).await
    });
    let ends = projector.supervised(ENDS_MAX, others).await;
    assert!(ends > 0, "the poison does nothing");
    let (request, reason) = stopped(&client).await;
    assert_eq!(request, id);
    assert!(reason.contains("ended the process"), "{reason}");
    client.until_status(&id, "succeeded").await;
    nothing_waits(&client).await;
}

#[tokio::test]
async fn a_commit_that_repeatedly_ended_its_projector_is_skipped_by_every_projector() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let mut program = up(&world, &valuer, &[]).await;
    let first = submit(&program.client(), "first").await;
    program.client().until_status(&first, "succeeded").await;
    program.kill().await;
    // The state that two processes leave if the next commit ended them.
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let next = log.cached_info().state.last_sequence + 1;
    let id = RequestId::of_key("anonymous", "poison").to_string();
    let mark = json!({
        "begun": 2, "alone": 2, "request": id, "by": "a test", "at": "2026-01-01T00:00:00Z",
    });
    let subject = format!("quarantine.projector-0.{next}");
    let kept = jetstream.publish(subject, mark.to_string().into());
    kept.await.unwrap().await.unwrap();
    program.restart().await;
    let client = program.client();
    assert_eq!(submit(&client, "poison").await, id);
    let other = submit(&client, "other").await;
    until("the other has its view", || has_view(&world, &other)).await;
    let passed_over = async || {
        let (request, reason) = stopped(&client).await;
        assert_eq!(request, id);
        assert!(reason.contains("ended the process"), "{reason}");
        assert!(!has_view(&world, &id).await);
    };
    passed_over().await;
    nothing_waits(&client).await;
    // The same after everything is projected again.
    world.flush_redis().await;
    let views = || async { has_view(&world, &first).await && has_view(&world, &other).await };
    until("the others have their views again", views).await;
    passed_over().await;
}
