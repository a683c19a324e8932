//! Streams with three replicas: a server that is lost or lags is not charged to anyone.

use std::time::Duration;

use harness::{Client, Program, Valuer, World, until, until_some};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{document, messages};

/// How often a request is submitted.
const LIGHT: Duration = Duration::from_millis(50);

/// Submits a request until it is accepted, as a caller does, and returns its id.
async fn accepted(client: &Client, key: &str) -> String {
    until_some("it is accepted", || async {
        let call = client.call(Method::POST, "/valuation");
        let call = call.header("content-type", "application/xml");
        let call = call.header("idempotency-key", key).body(document(1, 3));
        let answer = client.send(call).await;
        match answer.status {
            StatusCode::ACCEPTED => Some(answer.id()),
            StatusCode::SERVICE_UNAVAILABLE => None,
            status => panic!("{status}: {}", answer.body),
        }
    })
    .await
}

/// Submits requests until `enough`, and returns their ids.
async fn load(client: Client, enough: watch::Receiver<bool>) -> Vec<String> {
    let mut ids = Vec::new();
    let mut every = tokio::time::interval(LIGHT);
    while !*enough.borrow() {
        every.tick().await;
        ids.push(accepted(&client, &format!("{}", ids.len())).await);
    }
    ids
}

#[tokio::test]
async fn no_task_fails_and_every_request_succeeds_when_each_stream_loses_its_leader() {
    let mut world = World::clustered().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url()), ("REPLICAS", "3")];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let program = Program::start(binary, "up", &world, &settings).await;
    let client = program.client();
    let (stop, enough) = watch::channel(false);
    let loading = tokio::spawn(load(client.clone(), enough));
    for stream in ["REPORTS", "TASKS", "REQUESTS_0"] {
        let called = valuer.calls_so_far();
        until("tasks run", || async {
            valuer.calls_so_far() > called + 10
        })
        .await;
        let cluster = world.cluster();
        let leads = || cluster.leader_of(stream);
        let leader = until_some("all replicas are level", leads).await;
        cluster.kill_and_restart(leader).await;
    }
    let called = valuer.calls_so_far();
    until("tasks run", || async {
        valuer.calls_so_far() > called + 10
    })
    .await;
    stop.send_replace(true);
    for id in loading.await.unwrap() {
        client.until_status(&id, "succeeded").await;
    }
    until("nothing is left", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    assert_eq!(messages(&world, "DEAD_LETTERS").await, 0);
}

/// How often a server is suspended.
const PAUSES: usize = 4;
/// How many requests are submitted during each pause, and after it.
const READS: usize = 75;

/// Submits requests at once, and reads each from another instance as soon as it is accepted, until
/// it is there. It must never be unknown.
fn read_at_once(one: &Client, other: &Client, turn: &str) -> JoinSet<()> {
    let mut reading = JoinSet::new();
    for n in 0..READS {
        let (one, other, key) = (one.clone(), other.clone(), format!("{turn}/{n}"));
        reading.spawn(async move {
            let id = accepted(&one, &key).await;
            until("the request is found", || async {
                let answer = other.status(&id).await;
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
                answer.status == StatusCode::OK
            })
            .await;
        });
    }
    reading
}

#[tokio::test]
async fn a_request_is_found_through_a_lagging_server_as_soon_as_it_is_accepted() {
    let mut world = World::clustered().await;
    let binary = env!("CARGO_BIN_EXE_fanfold");
    // There is no projector: each read is answered from the log.
    let url = world.cluster().url_of(0).to_owned();
    let settings = [("REPLICAS", "3"), ("NATS_URL", &url)];
    let one = Program::start(binary, "api", &world, &settings).await;
    let cluster = world.cluster();
    let leads = || cluster.leader_of("REQUESTS_0");
    let leader = until_some("all replicas are level", leads).await;
    let lagging = if leader == 1 { 2 } else { 1 };
    let url = cluster.url_of(lagging).to_owned();
    let settings = [("REPLICAS", "3"), ("NATS_URL", &url)];
    let other = Program::start(binary, "api", &world, &settings).await;
    let (one, other) = (one.client(), other.client());
    for pause in 0..PAUSES {
        world.cluster().signal(lagging, Signal::STOP);
        let reading = read_at_once(&one, &other, &format!("{pause}/during"));
        accepted(&one, &format!("{pause}/last")).await;
        // The reads have reached the server before what it lacks.
        world.cluster().signal(lagging, Signal::CONT);
        reading.join_all().await;
        let after = read_at_once(&one, &other, &format!("{pause}/after"));
        after.join_all().await;
    }
}
