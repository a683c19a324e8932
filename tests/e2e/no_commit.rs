//! Messages in the log that are no commits: what a client of the broker can have the server write there
//! by naming a subject of the log as the subject of an answer.

use harness::{Program, Valuer, World, until};
use reqwest::StatusCode;
use serde_json::json;

use crate::{document, fanfold, nothing_is_stuck, post, up};

/// Has the broker store an answer of its own in the log of a request.
async fn stray(world: &World, id: &str) {
    let jetstream = world.jetstream().await;
    let log = || async {
        let stream = jetstream.get_stream("REQUESTS_0").await.unwrap();
        stream.cached_info().state.last_sequence
    };
    let before = log().await;
    let id: domain::request::RequestId = id.parse().unwrap();
    let subject = format!("requests.{}.{id}", id.partition());
    let client = async_nats::connect(world.nats_url()).await.unwrap();
    client
        .publish_with_reply("$JS.API.INFO", subject, "".into())
        .await
        .unwrap();
    client.flush().await.unwrap();
    until("the answer is in the log", || async {
        log().await > before
    })
    .await;
}

async fn passed_over(program: &Program) -> u64 {
    let ready = program.admin().get("/readyz").await.json();
    ready["passedOver"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn a_message_in_the_log_that_is_no_commit_is_passed_over_by_every_reader() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let mut program = up(&world, &valuer, &[]).await;
    let client = program.client();
    open.send_replace(true);
    let ended = client.submit(&document(1, 1), "").await.id();
    client.until_status(&ended, "succeeded").await;
    open.send_replace(false);
    let running = client.submit(&document(2, 1), "").await.id();
    client.until_status(&running, "running").await;

    let unknown = "0199e0a1-2b3c-7d4e-8f50-617283940516".to_owned();
    for id in [&ended, &running, &unknown] {
        stray(&world, id).await;
    }
    until("all three are passed over", || async {
        passed_over(&program).await == 3
    })
    .await;
    let events = client.get(&format!("/valuation/{ended}/events")).await;
    assert_eq!(events.status, StatusCode::OK, "{}", events.body);
    let nothing = client.get(&format!("/valuation/{unknown}/status")).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND, "{}", nothing.body);
    // The commits that come after it say on which commit they were decided.
    open.send_replace(true);
    client.until_status(&running, "succeeded").await;
    stray(&world, &running).await;
    let again = post(
        &client,
        &format!("/valuation/{running}/redrive"),
        &json!({ "reason": "x" }),
    )
    .await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);

    // Whoever begins anew reads the whole log.
    world.flush_redis().await;
    program.kill().await;
    program.restart().await;
    let client = program.client();
    client.until_status(&running, "succeeded").await;
    let ready = program.admin().get("/readyz").await.json();
    assert_eq!(ready["stoppedViews"], json!([]), "{ready}");
    until("the views are there again", || async {
        let said = fanfold(&world, &["replay", "verify", "--all"]).await;
        said.ok
    })
    .await;
    for arguments in [
        &["replay", "show", &running][..],
        &["replay", "why", &ended],
        &["requests", "stuck"],
    ] {
        let said = fanfold(&world, arguments).await;
        assert!(said.ok, "{arguments:?}: {}{}", said.out, said.err);
    }
    nothing_is_stuck(&world).await;
}
