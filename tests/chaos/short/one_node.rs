//! One server and one process of every role, each killed once while requests run.

use std::sync::Arc;
use std::time::Instant;

use harness::{Program, Valuer, World, until};

use crate::load::Load;
use crate::truth;

const REQUESTS: usize = 200;
const GROUPS: usize = 3;
const TASKS: usize = 10;
/// How many attempts must follow a kill before the next kill.
const PROGRESS: usize = 250;

/// Short leases, so that the tasks of a killed process are redelivered soon.
const SETTINGS: [(&str, &str); 3] = [
    ("ACK_WAIT_MS", "2000"),
    ("TASK_LEASE_MS", "2000"),
    ("TAKEOVER_AFTER_MS", "1000"),
];

async fn start(role: &str, world: &World, valuer: &Valuer) -> Program {
    let mut settings = vec![("EXECUTOR", valuer.url())];
    settings.extend(SETTINGS);
    Program::start(env!("CARGO_BIN_EXE_fanfold"), role, world, &settings).await
}

/// Waits until attempts are made again.
async fn progress(valuer: &Valuer, after: &str) {
    let before = valuer.calls_so_far();
    let most = REQUESTS * GROUPS * TASKS;
    let begun = Instant::now();
    until(&format!("work goes on after {after}"), || async {
        let calls = valuer.calls_so_far();
        calls >= before + PROGRESS || calls >= most
    })
    .await;
    let calls = valuer.calls_so_far();
    eprintln!(
        "after {after}: {:?}, {calls} attempts so far",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_request_succeeds_once_whatever_is_killed_meanwhile() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let mut api = start("api", &world, &valuer).await;
    let mut others = Vec::new();
    for role in ["orchestrator", "worker", "projector"] {
        others.push((role, start(role, &world, &valuer).await));
    }
    world.stage_in_memory();
    let load = Arc::new(Load::new(api.client(), REQUESTS, GROUPS, TASKS));
    let submitting = tokio::spawn(load.clone().run());

    progress(&valuer, "the start").await;
    for (role, program) in &mut others {
        program.kill().await;
        program.restart().await;
        progress(&valuer, role).await;
    }
    api.kill().await;
    api.restart().await;
    progress(&valuer, "api").await;
    world.flush_redis().await;
    progress(&valuer, "FLUSHALL").await;
    world.restart_redis_empty().await;
    progress(&valuer, "Redis").await;
    world.kill_nats().await;
    world.restart_nats().await;
    progress(&valuer, "NATS").await;

    submitting.await.unwrap();
    let ids = load.accepted();
    assert!(ids.len() >= REQUESTS, "{}", ids.len());
    for id in &ids {
        api.client().until_status(id, "succeeded").await;
    }
    eprintln!("all have succeeded");
    truth::check(&world, &ids, GROUPS, TASKS).await;
    eprintln!("every event, result and view is right");
    truth::nothing_waits(&world).await;
}
