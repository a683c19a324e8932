use domain::request::DISPATCHED_AT_ONCE;
use harness::{Reply, Valuer, World, result_of, until};
use tokio::sync::watch;

use crate::{document, messages, up};

const TASKS: usize = 3_000;

#[tokio::test]
async fn a_large_group_waits_in_the_log_instead_of_the_queue_and_continues_after_a_crash() {
    let world = World::start().await;
    let (open, gate) = watch::channel(false);
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let settings = [("WORKER_CONCURRENCY", "16"), ("TASK_LEASE_MS", "1000")];
    let mut program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, TASKS), "").await.id();
    let queued = DISPATCHED_AT_ONCE as usize;
    until("its first tasks are dispatched", || async {
        messages(&world, "TASKS").await == queued
    })
    .await;
    program.kill().await;
    program.restart().await;
    // The orchestrator first repeats the dispatched tasks. Later tasks come after them.
    let other = client.submit(&document(1, 1), "").await.id();
    client.until_status(&other, "running").await;
    until("the other one is dispatched", || async {
        messages(&world, "TASKS").await > queued
    })
    .await;
    assert_eq!(messages(&world, "TASKS").await, queued + 1);

    open.send_replace(true);
    client.until_status(&other, "succeeded").await;
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["groups"][0]["completed"], TASKS, "{status}");
}
