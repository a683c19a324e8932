use std::sync::Arc;

use futures::TryStreamExt as _;
use harness::{Client, Program, Reply, Valuer, World, result_of, until, until_some};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use crate::{document, fanfold, history, messages, nothing_is_stuck, post, up};

/// A service that answers its first attempts on a signal, and later ones at once.
async fn waiting() -> (Valuer, Arc<watch::Sender<bool>>) {
    let go = Arc::new(watch::Sender::new(false));
    let gate = go.clone();
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.subscribe();
        async move {
            if call.attempt == 1 {
                gate.wait_for(|open| *open).await.unwrap();
            }
            Reply::Result(result_of(&call))
        }
    });
    (valuer.await, go)
}

#[tokio::test]
async fn a_group_that_times_out_ends_the_request_and_a_redrive_finishes_it() {
    let world = World::start().await;
    let (valuer, go) = waiting().await;
    let settings = [("GROUP_TIMEOUT_MS", "700"), ("WORKER_CONCURRENCY", "2")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 4), "").await.id();
    client.until_status(&id, "failed").await;
    let results = client.results(&id).await;
    assert_eq!(results.status, StatusCode::UNPROCESSABLE_ENTITY);
    let failure = &results.json()["failure"];
    assert_eq!(failure["code"], "group-timed-out");
    assert_eq!(failure["group"], 0);
    assert_eq!(failure["redriveMayHelp"], true);
    assert!(failure["seq"].is_u64() && failure["failedAt"].is_string());
    assert_eq!(failure["tasks"].as_array().unwrap().len(), 4);
    until("what waited is taken back", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    assert_eq!(valuer.calls().len(), 2, "what waited is not started");

    go.send_replace(true);
    let why = json!({ "reason": "the service answers again" });
    let redriven = post(&client, &format!("/valuation/{id}/redrive"), &why).await;
    assert_eq!(redriven.status, StatusCode::ACCEPTED);
    client.until_status(&id, "succeeded").await;
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_fails_with_the_group_that_ran() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[("REQUEST_TIMEOUT_MS", "500")]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "failed").await;
    let failure = client.results(&id).await.json()["failure"].clone();
    assert_eq!(failure["code"], "request-timed-out");
    assert_eq!(failure["group"], 0);
}

#[tokio::test]
async fn timers_and_delayed_retries_survive_a_restart_of_everything() {
    let mut world = World::own().await;
    let valuer = Valuer::start(|call| async move {
        match (call.document.contains("hang-"), call.attempt) {
            (true, _) => std::future::pending().await,
            (false, 1) => Reply::Status(503, "busy".into()),
            (false, _) => Reply::Result(result_of(&call)),
        }
    })
    .await;
    let settings = [
        ("GROUP_TIMEOUT_MS", "5000"),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "2500"),
        // A killed broker may forget a recent delayed NAK. The lease then ends the wait.
        ("TASK_LEASE_MS", "4000"),
    ];
    let mut program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let hangs = document(1, 1).replace("name=\"m\"", "name=\"hang-\"");
    let hangs = client.submit(&hangs, "").await.id();
    let retried = client.submit(&document(1, 1), "").await.id();
    until_some("its first attempt failed", || async {
        let status = client.status(&retried).await.json();
        (status["attempts"] == 1).then_some(())
    })
    .await;
    client.until_status(&hangs, "running").await;

    program.kill().await;
    world.restart_nats().await;
    world.restart_redis_empty().await;
    program.restart().await;
    let status = client.until_status(&retried, "succeeded").await;
    // One more attempt if the killed broker had not yet stored the first delivery.
    assert!(status["attempts"].as_u64() >= Some(2), "{status}");
    client.until_status(&hangs, "failed").await;
    let failure = client.results(&hangs).await.json()["failure"].clone();
    assert_eq!(failure["code"], "group-timed-out");
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_delay_too_long_for_the_queue_is_a_schedule_that_dispatches_the_task_again() {
    let world = World::start().await;
    let valuer = Valuer::busy_at_first(|_| true).await;
    let settings = [
        ("FANFOLD_TEST_LONG_DELAY_MS", "200"),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "2000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let reports = world.jetstream().await.get_stream("REPORTS").await.unwrap();
    let timer = until_some("the timer is set", || async {
        let timers = reports
            .info_with_subjects("timers.*.*.due.>")
            .await
            .unwrap();
        let timers: Vec<(String, usize)> = timers.try_collect().await.unwrap();
        timers.into_iter().next().map(|(subject, _)| subject)
    })
    .await;
    assert!(timer.ends_with(&format!("{id}.due.0.1")), "{timer}");
    assert_eq!(
        messages(&world, "TASKS").await,
        0,
        "the queue does not hold it"
    );
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["attempts"], 2);
    let attempts: Vec<u32> = valuer.calls().iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 2], "the attempts count on");
}

#[tokio::test]
async fn a_hung_program_is_stopped_at_its_limit_with_all_its_processes() {
    let world = World::start().await;
    let pids = world.folder().join("pids");
    let script = world.folder().join("hang.sh");
    let text = format!(
        "#!/bin/sh\necho starting >&2\nsleep 1000 &\necho $! >> {}\nwait\n",
        pids.display()
    );
    std::fs::write(&script, text).unwrap();
    let executor = format!("command:sh {}", script.display());
    let settings = [
        ("EXECUTOR", executor.as_str()),
        ("FANFOLD_TEST_TASK_TIMEOUT_MS", "300"),
        ("MAX_TASK_ATTEMPTS", "2"),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "20"),
    ];
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "failed").await;
    let task = client.results(&id).await.json()["failure"]["tasks"][0].clone();
    let attempts = task["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[1]["code"], "task-timed-out");
    assert!(attempts[1]["durationMs"].as_u64().unwrap() >= 300);
    let causes = attempts[1]["causes"].to_string();
    assert!(
        !causes.contains("starting"),
        "only the log has its last words: {causes}"
    );
    assert!(program.log().contains("starting"));
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        assert!(
            stat.is_err() || stat.unwrap().contains(") Z "),
            "{pid} still runs"
        );
    }
}

#[tokio::test]
async fn a_result_that_comes_after_the_end_is_recorded_and_changes_nothing() {
    let world = World::start().await;
    let (valuer, go) = waiting().await;
    let settings = [("EXECUTOR", valuer.url()), ("GROUP_TIMEOUT_MS", "500")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (api, _orchestrator, _projector) = (
        start("api").await,
        start("orchestrator").await,
        start("projector").await,
    );
    let worker = start("worker").await;
    let client = api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the attempt runs", || async { valuer.calls().len() == 1 }).await;
    // The stopped worker misses the cancellation, and sends its result after the end.
    worker.signal(rustix::process::Signal::STOP);
    client.until_status(&id, "failed").await;
    let report = json!({ "outcome": {
        "group": 0, "task": 1, "attempt": 1, "worker": "late", "durationMs": 1,
        "startedAt": "2026-01-01T00:00:00Z", "checked": true,
        "verdict": { "succeeded": {
            "inline": "<vnml><project><group><valuation/></group></project></vnml>"
        } },
    } });
    let partition = {
        let log = world
            .jetstream()
            .await
            .get_stream("REQUESTS_0")
            .await
            .unwrap();
        let first = log.get_raw_message(1).await.unwrap();
        first.subject.split('.').nth(1).unwrap().to_owned()
    };
    let subject = format!("reports.{partition}.{id}.0.1");
    let jetstream = world.jetstream().await;
    let sent = jetstream
        .publish(subject, report.to_string().into())
        .await
        .unwrap();
    sent.await.unwrap();
    until("it is recorded", || async {
        history(&world, &id)
            .await
            .contains(&"task-succeeded".to_owned())
    })
    .await;
    let status = client.status(&id).await.json();
    assert_eq!(status["status"], "failed");
    let ends = history(&world, &id).await;
    assert_eq!(ends.iter().filter(|event| *event == "failed").count(), 1);
    nobody_waits_for_more(&world, &client, &id).await;
    go.send_replace(true);
    worker.signal(rustix::process::Signal::CONT);
}

/// Whoever follows a request that has ended gets every event and then the end, also where the
/// outcome of a task came after the end.
async fn nobody_waits_for_more(world: &World, client: &Client, id: &str) {
    let stream = |after: Option<&str>| {
        let path = format!("/valuation/{id}/events");
        let call = client.call(Method::GET, &path);
        let call = call.header("accept", "text/event-stream");
        let call = match after {
            Some(after) => call.header("last-event-id", after),
            None => call,
        };
        tokio::time::timeout(harness::LIMIT, client.send(call))
    };
    let all = stream(None).await.expect("the stream ends");
    let ids = all
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<&str> = ids.collect();
    assert!(all.body.contains("task-succeeded"), "{}", all.body);
    // After the late outcome, and after the end before it.
    for (after, status) in [(ids[ids.len() - 1], 204), (ids[ids.len() - 2], 200)] {
        let answer = stream(Some(after)).await.expect("the stream ends");
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let show = ["replay", "show", id, "--follow"];
    let shown = tokio::time::timeout(harness::LIMIT, fanfold(world, &show));
    let shown = shown.await.expect("it ends");
    assert!(shown.ok, "{}", shown.err);
}
