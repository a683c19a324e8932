use std::sync::Arc;

use futures::TryStreamExt as _;
use harness::{Program, Proxy, Reply, Valuer, World, result_of, until};
use rustix::process::Signal;
use tokio::sync::watch;

use crate::{document, messages, nothing_is_stuck, up};

#[tokio::test]
async fn a_long_task_keeps_its_lease() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &[("TASK_LEASE_MS", "500")]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the attempt runs", || async { valuer.calls().len() == 1 }).await;
    let begun = std::time::Instant::now();
    until("four leases are over", || async {
        begun.elapsed().as_millis() > 2_000
    })
    .await;
    go.send_replace(true);
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["attempts"], 1);
    assert_eq!(valuer.calls().len(), 1, "nobody else was given it");
}

#[tokio::test]
async fn a_worker_that_is_paused_beyond_its_lease_and_wakes_up_does_no_harm() {
    let world = World::start().await;
    let go = Arc::new(watch::Sender::new(false));
    let gate = go.clone();
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.subscribe();
        async move {
            if call.attempt == 1 {
                gate.wait_for(|open| *open).await.unwrap();
                // A permanent failure, if this worker still had the task.
                return Reply::Status(422, "no such curve".into());
            }
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let settings = [("EXECUTOR", valuer.url()), ("TASK_LEASE_MS", "700")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (api, _orchestrator, _projector) = (
        start("api").await,
        start("orchestrator").await,
        start("projector").await,
    );
    let paused = start("worker").await;
    let client = api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the attempt runs", || async { valuer.calls().len() == 1 }).await;
    paused.signal(Signal::STOP);
    let _other = start("worker").await;
    client.until_status(&id, "succeeded").await;
    go.send_replace(true);
    paused.signal(Signal::CONT);
    until("it wakes up", || async {
        paused.log().contains("failed after its lease had expired")
    })
    .await;
    until("its report is taken in", || async {
        let reports = world.jetstream().await.get_stream("REPORTS").await.unwrap();
        let mut subjects = reports.info_with_subjects("reports.>").await.unwrap();
        subjects.try_next().await.unwrap().is_none()
    })
    .await;
    assert_eq!(client.status(&id).await.json()["status"], "succeeded");
    assert_eq!(messages(&world, "DEAD_LETTERS").await, 0);
    assert_eq!(messages(&world, "TASKS").await, 0);
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_task_whose_workers_are_killed_each_time_leaves_a_dead_letter_that_says_so() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let settings = [("MAX_TASK_ATTEMPTS", "1"), ("TASK_LEASE_MS", "500")];
    let mut program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    // Without a mark, together with others, and twice alone: one kill proves nothing about the
    // task.
    for attempt in [1, 2, 3, 4] {
        until("an attempt runs", || async {
            valuer.calls().len() == attempt
        })
        .await;
        program.kill().await;
        program.restart().await;
    }
    client.until_status(&id, "failed").await;
    assert_eq!(valuer.calls().len(), 4, "a fifth one is not made");
    let task = client.results(&id).await.json()["failure"]["tasks"][0].clone();
    let last = task["attempts"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["code"], "attempts-exhausted");
    assert!(
        last["message"].as_str().unwrap().contains("3 times"),
        "{last}"
    );
    assert_eq!(task["deadLetter"], format!("{id}.0.1.0"));
    assert_eq!(messages(&world, "DEAD_LETTERS").await, 1);
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_worker_that_is_cut_off_for_longer_than_its_lease_leaves_the_task_to_its_new_holder() {
    let world = World::start().await;
    let (answer, answers) = watch::channel(0);
    let valuer = Valuer::start(move |call| {
        let mut answers = answers.clone();
        async move {
            // The second delivery may have gone to the worker that is cut off, which still pulls.
            let order = call.attempt.min(2);
            answers.wait_for(|upto| *upto >= order).await.unwrap();
            if order == 1 {
                // A permanent failure, if this worker still had the task.
                return Reply::Status(422, "no such curve".into());
            }
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let proxy = Proxy::start(world.nats_url()).await;
    let through_it = format!("nats://{}", proxy.address());
    let settings = [("EXECUTOR", valuer.url()), ("TASK_LEASE_MS", "1500")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (api, _orchestrator, _projector) = (
        start("api").await,
        start("orchestrator").await,
        start("projector").await,
    );
    let mut cut_off = settings.to_vec();
    cut_off.push(("NATS_URL", &through_it));
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let cut_off = Program::start(binary, "worker", &world, &cut_off).await;
    let client = api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the attempt runs", || async { valuer.calls().len() == 1 }).await;
    proxy.cut();
    let _other = start("worker").await;
    until("the other worker has it", || async {
        valuer.calls().len() == 2
    })
    .await;
    // All that the worker sent meanwhile arrives now, and only then does its executor answer.
    proxy.heal();
    answer.send_replace(1);
    until("it finds out", || async {
        cut_off.log().contains("failed after its lease had expired")
    })
    .await;
    answer.send_replace(2);
    client.until_status(&id, "succeeded").await;
    until("nothing is left", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    assert_eq!(valuer.calls().len(), 2, "nobody else was given it");
    assert_eq!(messages(&world, "DEAD_LETTERS").await, 0);
    nothing_is_stuck(&world).await;
}
