//! What waits behind the work on its request.

use std::sync::atomic::Ordering;

use async_nats::jetstream::consumer;
use harness::{Program, Valuer, World, until};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinSet;

use crate::resources::{referring, silent};
use crate::{document, post, up};

/// What the broker knows of the orchestrator's work on the log.
async fn commits(world: &World) -> consumer::Info {
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    log.consumer_info("orchestrator").await.unwrap()
}

#[tokio::test]
async fn a_commit_that_waits_behind_a_slow_fetch_is_not_delivered_again() {
    let mut serving = JoinSet::new();
    let (host, connections) = silent(&mut serving).await;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [
        ("HREF_ALLOW", host.as_str()),
        ("FANFOLD_TEST_HREF_TIMEOUT_MS", "4000"),
        ("FANFOLD_TEST_HREF_ATTEMPTS", "1"),
        ("ACK_WAIT_MS", "1000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let refers = referring(&format!("{host}m.xml"));
    let id = client.submit(&refers, "").await.id();
    until("the fetch is under way", || async {
        connections.load(Ordering::Relaxed) > 0
    })
    .await;
    let why = json!({ "reason": "it takes too long" });
    let cancelled = post(&client, &format!("/valuation/{id}/cancel"), &why).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
    until("both commits wait", || async {
        commits(&world).await.num_ack_pending >= 2
    })
    .await;
    until("both commits are done", || async {
        let commits = commits(&world).await;
        commits.num_pending == 0 && commits.num_ack_pending == 0
    })
    .await;
    let delivered = commits(&world).await.delivered;
    assert_eq!(delivered.consumer_sequence, delivered.stream_sequence);
}

#[tokio::test]
async fn a_request_whose_work_cannot_be_done_for_now_ends_at_its_timeout() {
    let world = World::own().await;
    let settings = [("REQUEST_TIMEOUT_MS", "3000")];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let start = |role| Program::start(binary, role, &world, &settings);
    let (api, orchestrator) = (start("api").await, start("orchestrator").await);
    let _projector = start("projector").await;
    until("the orchestrator runs", || async {
        orchestrator.log().contains("orchestrator runs")
    })
    .await;
    orchestrator.signal(Signal::STOP);
    let client = api.client();
    let note = "<note>x</note>".repeat(10_000);
    let large = document(1, 1).replace("<rate>", &format!("{note}<rate>"));
    let id = client.submit(&large, "").await.id();
    // Without its document the request cannot go on, and the broker does not say that it is gone.
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("OBJ_PAYLOADS").await.unwrap();
    orchestrator.signal(Signal::CONT);

    client.until_status(&id, "failed").await;
    let failure = client.results(&id).await.json()["failure"].clone();
    assert_eq!(failure["code"], "request-timed-out", "{failure}");
    let log = orchestrator.log();
    assert!(
        log.contains("the effects of a commit will be tried again"),
        "{log}"
    );
    until("nothing is tried again", || async {
        let commits = commits(&world).await;
        commits.num_pending == 0 && commits.num_ack_pending == 0
    })
    .await;
}
