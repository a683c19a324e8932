//! What the system cannot do is not charged to the task, and whoever stops hands back what it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Program, Reply, Valuer, World, result_of, until};
use rustix::process::Signal;
use tokio::sync::watch;

use crate::{document, messages, nothing_is_stuck};

/// The roles apart, so that a test can stop each on its own.
struct Roles<'a> {
    world: &'a World,
    settings: Vec<(&'a str, &'a str)>,
    api: Program,
    orchestrator: Program,
    _projector: Program,
}

impl<'a> Roles<'a> {
    async fn start(world: &'a World, valuer: &'a Valuer, further: &[(&'a str, &'a str)]) -> Self {
        let mut settings = vec![
            ("EXECUTOR", valuer.url()),
            ("FANFOLD_TEST_RETRY_DELAY_MS", "20"),
        ];
        settings.extend(further);
        Self {
            api: start(world, "api", &settings).await,
            orchestrator: start(world, "orchestrator", &settings).await,
            _projector: start(world, "projector", &settings).await,
            world,
            settings,
        }
    }

    /// Starts a worker, which asks for tasks when this returns.
    async fn worker(&self) -> Program {
        let worker = start(self.world, "worker", &self.settings).await;
        until("the worker runs", || async {
            worker.log().contains("worker runs")
        })
        .await;
        worker
    }

    async fn all_is_well(&self) {
        until("nothing is left", || async {
            messages(self.world, "TASKS").await == 0
        })
        .await;
        // The letter of a task that is reconsidered goes beside its next attempt.
        until("no dead letter is left", || async {
            messages(self.world, "DEAD_LETTERS").await == 0
        })
        .await;
        nothing_is_stuck(self.world).await;
    }
}

async fn start(world: &World, role: &str, settings: &[(&str, &str)]) -> Program {
    Program::start(env!("CARGO_BIN_EXE_fanfold"), role, world, settings).await
}

async fn until_over(what: &str, duration: Duration) {
    let begun = Instant::now();
    until(what, || async { begun.elapsed() > duration }).await;
}

#[tokio::test]
async fn a_report_that_the_broker_cannot_take_is_published_again_and_its_task_not_run_again() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let roles = Roles::start(&world, &valuer, &[]).await;
    let _worker = roles.worker().await;
    let client = roles.api.client();
    let id = client.submit(&document(1, 3), "").await.id();
    until("the tasks run", || async { valuer.calls_so_far() == 3 }).await;
    roles.orchestrator.signal(Signal::STOP);
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("REPORTS").await.unwrap();
    go.send_replace(true);
    // Three attempts with their pauses were over after 3 s.
    until_over("the outage", Duration::from_secs(15)).await;
    roles.orchestrator.signal(Signal::CONT);
    client.until_status(&id, "succeeded").await;
    assert_eq!(valuer.calls_so_far(), 3, "no executor ran twice");
    roles.all_is_well().await;
}

#[tokio::test]
async fn a_task_whose_report_finds_no_broker_for_too_long_is_given_back_and_keeps_its_attempts() {
    let world = World::start().await;
    let go = Arc::new(watch::Sender::new(false));
    let gate = go.clone();
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.subscribe();
        async move {
            if call.attempt == 1 {
                gate.wait_for(|open| *open).await.unwrap();
            }
            if call.attempt == 2 {
                // By the count of deliveries, this ends the last attempt.
                return Reply::Status(503, "busy".into());
            }
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let settings = [
        ("FANFOLD_TEST_BROKER_PATIENCE_MS", "500"),
        ("MAX_TASK_ATTEMPTS", "2"),
    ];
    let roles = Roles::start(&world, &valuer, &settings).await;
    let _worker = roles.worker().await;
    let client = roles.api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the task runs", || async { valuer.calls_so_far() == 1 }).await;
    roles.orchestrator.signal(Signal::STOP);
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("REPORTS").await.unwrap();
    go.send_replace(true);
    until("the task is given back", || async {
        valuer.calls_so_far() >= 2
    })
    .await;
    roles.orchestrator.signal(Signal::CONT);
    client.until_status(&id, "succeeded").await;
    roles.all_is_well().await;
}

#[tokio::test]
async fn a_worker_that_stops_takes_no_task_with_it() {
    let world = World::start().await;
    let (open, gate) = watch::channel(false);
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.clone();
        let slow = call.document.contains("slow");
        async move {
            if slow {
                gate.wait_for(|open| *open).await.unwrap();
            }
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let roles = Roles::start(&world, &valuer, &[("MAX_TASK_ATTEMPTS", "1")]).await;
    let mut busy = roles.worker().await;
    let client = roles.api.client();
    let slow = document(1, 1).replace("name=\"v\"", "name=\"slow\"");
    let slow = client.submit(&slow, "").await.id();
    until("the slow task runs", || async {
        valuer.calls_so_far() == 1
    })
    .await;
    let _other = roles.worker().await;
    // Half of these come to the worker that stops, before, while and after it is told to.
    let mut quick = Vec::new();
    for number in 0..20 {
        if number == 5 {
            busy.signal(Signal::TERM);
        }
        let call = client.submit(&document(1, 4), "sync=Y");
        quick.push(tokio::spawn(async move {
            let begun = Instant::now();
            (call.await, begun.elapsed())
        }));
    }
    for quick in quick {
        let (answer, took) = quick.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            took < Duration::from_secs(10),
            "a task was taken along: {took:?}"
        );
    }
    open.send_replace(true);
    client.until_status(&slow, "succeeded").await;
    busy.ended().await;
    assert_eq!(valuer.calls_so_far(), 81);
    roles.all_is_well().await;
}

#[tokio::test]
async fn a_task_that_outlives_the_grace_of_its_workers_goes_on_elsewhere_with_all_its_attempts() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        match call.attempt {
            1..=3 => std::future::pending().await,
            // By the count of deliveries this is beyond the last attempt.
            4 => Reply::Status(503, "busy".into()),
            _ => Reply::Result(result_of(&call)),
        }
    })
    .await;
    let settings = [("MAX_TASK_ATTEMPTS", "2"), ("SHUTDOWN_GRACE_MS", "300")];
    let roles = Roles::start(&world, &valuer, &settings).await;
    let client = roles.api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let begun = Instant::now();
    for deploy in 1..=3 {
        let mut worker = roles.worker().await;
        until("the task runs", || async {
            valuer.calls_so_far() == deploy
        })
        .await;
        assert!(worker.stop().await.success());
    }
    let _worker = roles.worker().await;
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["attempts"], 2, "one failed, one succeeded: {status}");
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(30),
        "it waited for a lease: {took:?}"
    );
    roles.all_is_well().await;
}

#[tokio::test]
async fn workers_create_their_consumer_again_that_was_deleted_by_hand() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let roles = Roles::start(&world, &valuer, &[]).await;
    let _worker = roles.worker().await;
    let tasks = world.jetstream().await.get_stream("TASKS").await.unwrap();
    tasks.delete_consumer("worker-default").await.unwrap();
    let client = roles.api.client();
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "succeeded").await;
    roles.all_is_well().await;
}
