//! The queues are in memory, and no work is lost with them.

use std::time::{Duration, Instant};

use harness::{Program, Reply, Valuer, World, result_of, until};
use reqwest::StatusCode;

use crate::{document, history, messages, nothing_is_stuck, up};

/// Submits a number of requests of 2 groups with 3 tasks. None of them has ended.
pub async fn waiting(world: &World, program: &Program) -> Vec<String> {
    let client = program.client();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(client.submit(&document(2, 3), "").await.id());
    }
    until("their tasks are sent", || async {
        messages(world, "TASKS").await == 15
    })
    .await;
    ids
}

/// Waits until these requests have succeeded, each once, and nothing of them is left.
pub async fn all_succeed(world: &World, program: &Program, ids: &[String]) {
    for id in ids {
        program.client().until_status(id, "succeeded").await;
        let events = history(world, id).await;
        let succeeded = events.iter().filter(|event| *event == "succeeded").count();
        assert_eq!(succeeded, 1, "{events:?}");
    }
    until("nothing is left", || async {
        messages(world, "TASKS").await == 0 && messages(world, "REPORTS").await == 0
    })
    .await;
    nothing_is_stuck(world).await;
}

#[tokio::test]
async fn waiting_and_running_tasks_are_recovered_after_the_broker_was_killed() {
    let mut world = World::own().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &[("WORKER_CONCURRENCY", "4")]).await;
    let ids = waiting(&world, &program).await;
    world.kill_nats().await;
    world.restart_nats().await;
    go.send_replace(true);
    all_succeed(&world, &program, &ids).await;
}

#[tokio::test]
async fn a_queue_that_an_operator_purged_is_recovered() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &[("WORKER_CONCURRENCY", "4")]).await;
    let ids = waiting(&world, &program).await;
    let jetstream = world.jetstream().await;
    let tasks = jetstream.get_stream("TASKS").await.unwrap();
    tasks.purge().await.unwrap();
    go.send_replace(true);
    all_succeed(&world, &program, &ids).await;
}

#[tokio::test]
async fn a_deleted_queue_is_created_and_recovered() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &[("WORKER_CONCURRENCY", "4")]).await;
    let ids = waiting(&world, &program).await;
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("TASKS").await.unwrap();
    jetstream.delete_stream("REPORTS").await.unwrap();
    go.send_replace(true);
    all_succeed(&world, &program, &ids).await;
}

#[tokio::test]
async fn a_timer_that_was_set_is_set_again_after_the_broker_was_killed() {
    let mut world = World::own().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[("GROUP_TIMEOUT_MS", "6000")]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("its timers are set", || async {
        messages(&world, "REPORTS").await == 2
    })
    .await;
    world.kill_nats().await;
    world.restart_nats().await;
    client.until_status(&id, "failed").await;
    let results = client.results(&id).await;
    assert_eq!(results.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(results.json()["failure"]["code"], "group-timed-out");
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_delayed_retry_keeps_its_time_after_the_broker_was_killed() {
    let mut world = World::own().await;
    let valuer = Valuer::busy_at_first(|_| true).await;
    let program = up(&world, &valuer, &[("FANFOLD_TEST_RETRY_DELAY_MS", "5000")]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let begun = Instant::now();
    until("its first attempt has failed", || async {
        client.status(&id).await.json()["attempts"] == 1
    })
    .await;
    world.kill_nats().await;
    world.restart_nats().await;
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["attempts"], 2);
    // A fifth of the delay is random.
    assert!(
        begun.elapsed() > Duration::from_millis(3_900),
        "{:?}",
        begun.elapsed()
    );
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn tasks_beyond_the_queue_limit_wait_in_the_log() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move { Reply::Result(result_of(&call)) }).await;
    let settings = [("TASKS_MAX_BYTES", "8000"), ("WORKER_CONCURRENCY", "2")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 60), "").await.id();
    client.until_status(&id, "succeeded").await;
    let log = program.log();
    assert!(
        log.contains("maximum bytes exceeded"),
        "there was room: {log}"
    );
    nothing_is_stuck(&world).await;
}
