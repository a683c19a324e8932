use domain::request::DISPATCHED_AT_ONCE;
use harness::{Valuer, World, until, until_some};
use reqwest::StatusCode;
use serde_json::json;

use crate::{document, fanfold, history, messages, nothing_is_stuck, post, up};

fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_cancelled_request_has_its_processes_stopped_and_its_waiting_tasks_withdrawn() {
    let world = World::start().await;
    let pids = world.folder().join("pids");
    let script = world.folder().join("hang.sh");
    let text = format!(
        "#!/bin/sh\nsleep 1000 &\necho $! >> {}\nwait\n",
        pids.display()
    );
    std::fs::write(&script, text).unwrap();
    let executor = format!("command:sh {}", script.display());
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", executor.as_str()), ("WORKER_CONCURRENCY", "2")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(2, 20), "").await.id();
    let pids = until_some("two processes run", || async {
        let pids = std::fs::read_to_string(&pids).ok()?;
        let pids: Vec<String> = pids.lines().map(str::to_owned).collect();
        (pids.len() == 2 && pids.iter().all(|pid| runs(pid))).then_some(pids)
    })
    .await;

    let why = json!({ "reason": "the wrong portfolio", "by": "anna" });
    let path = format!("/valuation/{id}/cancel");
    let cancelled = post(&client, &path, &why).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
    assert_eq!(cancelled.json()["status"], "cancelled");
    let status = client.status(&id).await.json();
    assert_eq!(
        status["status"], "cancelled",
        "whoever cancelled it sees it cancelled"
    );
    until("its processes are gone", || async {
        !pids.iter().any(|pid| runs(pid))
    })
    .await;
    until("its tasks are gone", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    assert_eq!(
        post(&client, &path, &why).await.status,
        StatusCode::OK,
        "again, nothing"
    );
    let redrive = post(&client, &format!("/valuation/{id}/redrive"), &why).await;
    assert_eq!(redrive.status, StatusCode::CONFLICT);
    let results = client.results(&id).await;
    assert_eq!(results.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(results.json()["code"], "cancelled");
    let ends = history(&world, &id).await;
    assert_eq!(ends.iter().filter(|event| *event == "cancelled").count(), 1);
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_finished_request_is_not_cancelled() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    let why = json!({ "reason": "too late" });
    let refused = post(&client, &format!("/valuation/{id}/cancel"), &why).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["code"], "already-ended");
    let said = fanfold(&world, &["cancel", &id, "--reason", "too late"]).await;
    assert!(!said.ok);
    assert!(said.err.contains("already succeeded"), "{}", said.err);
}

#[tokio::test]
async fn cancelling_a_group_of_ten_thousand_tasks_never_dispatches_the_unreleased_ones() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let mut program = up(&world, &valuer, &[("WORKER_CONCURRENCY", "8")]).await;
    let client = program.client();
    until("the queues are as they stay", || async {
        let tasks = world.jetstream().await.get_stream("TASKS").await.unwrap();
        let mark = tasks.get_last_raw_message_by_subject("filled.tasks").await;
        mark.is_ok()
    })
    .await;
    let before = sent(&world).await;
    let id = client.submit(&document(1, 10_000), "").await.id();
    until("some tasks are dispatched", || async {
        messages(&world, "TASKS").await > 0
    })
    .await;
    let said = fanfold(&world, &["cancel", &id, "--reason", "never mind"]).await;
    assert!(said.ok, "{}", said.err);
    client.until_status(&id, "cancelled").await;
    until("the log says that the tasks are stopped", || async {
        program.log().contains("stopped the tasks of a request")
    })
    .await;
    until("its tasks are gone", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    let sent = sent(&world).await - before;
    let most = u64::from(DISPATCHED_AT_ONCE);
    assert!(sent <= most, "{sent} tasks were sent");

    // Unreleased tasks in the log are not dispatched after a restart either.
    let called = valuer.calls().len();
    program.kill().await;
    program.restart().await;
    let other = client.submit(&document(1, 1), "").await.id();
    client.until_status(&other, "running").await;
    until("the other one is dispatched", || async {
        valuer.calls().len() > called
    })
    .await;
    assert_eq!(self::sent(&world).await, before + sent + 1);
    assert!(
        valuer.calls()[called..]
            .iter()
            .all(|call| call.request == other)
    );
}

/// The last sequence in the task queue.
async fn sent(world: &World) -> u64 {
    let tasks = world.jetstream().await.get_stream("TASKS").await.unwrap();
    tasks.cached_info().state.last_sequence
}
