//! What the queues lose while the system runs, whatever the reason, is late and not lost.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use domain::request::RequestId;
use harness::{Program, Reply, Valuer, World, result_of, until};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::queues::{all_succeed, waiting};
use crate::{document, messages, nothing_is_stuck, up};

/// The queues are looked at often, so that the tests need not wait for long.
const OFTEN: (&str, &str) = ("FANFOLD_TEST_RECONCILE_INTERVAL_MS", "500");
const SETTINGS: [(&str, &str); 2] = [OFTEN, ("WORKER_CONCURRENCY", "4")];

async fn stream(world: &World, name: &str) -> Stream {
    world.jetstream().await.get_stream(name).await.unwrap()
}

async fn purge(world: &World, name: &str, filter: &str) {
    let purged = stream(world, name)
        .await
        .purge()
        .filter(filter)
        .await
        .unwrap();
    assert!(purged.purged > 0, "there was nothing at {filter}");
}

/// The stored checkpoint of the open requests.
async fn checkpoint(world: &World) -> Option<Value> {
    let marks = stream(world, "QUARANTINE").await;
    let stored = marks.get_last_raw_message_by_subject("quarantine.checkpoint.0");
    Some(serde_json::from_slice(&stored.await.ok()?.payload).unwrap())
}

/// Up to where the projector has noted that the feed has the events.
async fn published(world: &World) -> Option<u64> {
    let notes = stream(world, "QUARANTINE").await;
    let stored = notes.get_last_raw_message_by_subject("quarantine.published.0");
    Some(serde_json::from_slice(&stored.await.ok()?.payload).unwrap())
}

#[tokio::test]
async fn tasks_that_disappear_from_the_queue_are_sent_again() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &SETTINGS).await;
    let ids = waiting(&world, &program).await;
    // The mark of the queue stays, so nothing but a look at each request finds the loss.
    purge(&world, "TASKS", "tasks.>").await;
    until("they are sent again", || async {
        messages(&world, "TASKS").await == 15
    })
    .await;
    go.send_replace(true);
    all_succeed(&world, &program, &ids).await;
}

#[tokio::test]
async fn a_single_lost_task_is_sent_again_while_its_neighbors_run() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &SETTINGS).await;
    let id = program.client().submit(&document(1, 8), "").await.id();
    until("four tasks run", || async { valuer.calls().len() == 4 }).await;
    let started: Vec<u32> = valuer.calls().iter().map(|call| call.task).collect();
    let lost = (1..=8).find(|task| !started.contains(task)).unwrap();
    purge(&world, "TASKS", &format!("tasks.default.*.{id}.0.{lost}")).await;
    until("it is sent again", || async {
        messages(&world, "TASKS").await == 8
    })
    .await;
    go.send_replace(true);
    program.client().until_status(&id, "succeeded").await;
    assert_eq!(valuer.calls().len(), 8, "no other task runs twice");
}

#[tokio::test]
async fn lost_reports_cost_another_attempt_and_nothing_else() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let settings = [("EXECUTOR", valuer.url()), OFTEN];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (api, _projector) = (start("api").await, start("projector").await);
    let (mut orchestrator, _worker) = (start("orchestrator").await, start("worker").await);
    let id = api.client().submit(&document(1, 3), "").await.id();
    until("its tasks run", || async { valuer.calls().len() == 3 }).await;
    orchestrator.kill().await;
    go.send_replace(true);
    until("the outcomes are reported", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    purge(&world, "REPORTS", "reports.>").await;
    orchestrator.restart().await;
    api.client().until_status(&id, "succeeded").await;
    assert_eq!(valuer.calls().len(), 6);
}

#[tokio::test]
async fn timers_that_disappear_are_set_again() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let settings = [OFTEN, ("GROUP_TIMEOUT_MS", "8000")];
    let program = up(&world, &valuer, &settings).await;
    let id = program.client().submit(&document(1, 1), "").await.id();
    until("its timers are set", || async {
        messages(&world, "REPORTS").await == 2
    })
    .await;
    purge(&world, "REPORTS", "timers.>").await;
    until("they are set again", || async {
        messages(&world, "REPORTS").await == 2
    })
    .await;
    program.client().until_status(&id, "failed").await;
    let failure = program.client().results(&id).await.json()["failure"].clone();
    assert_eq!(failure["code"], "group-timed-out");
}

#[tokio::test]
async fn deleted_consumers_are_created_again() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &SETTINGS).await;
    go.send_replace(true);
    let first = program.client().submit(&document(1, 1), "").await.id();
    program.client().until_status(&first, "succeeded").await;
    until("the checkpoint is after it", || async {
        let stored = checkpoint(&world).await.unwrap_or_default();
        stored["from"].as_u64() > Some(1)
    })
    .await;
    go.send_replace(false);
    let mut ids = waiting(&world, &program).await;
    let consumers = [
        ("REQUESTS_0", "orchestrator"),
        ("REQUESTS_0", "projector"),
        ("REPORTS", "orchestrator-0"),
        ("TASKS", "worker-default"),
    ];
    for (name, consumer) in consumers {
        let stream = stream(&world, name).await;
        stream.delete_consumer(consumer).await.unwrap();
    }
    go.send_replace(true);
    ids.push(program.client().submit(&document(2, 3), "").await.id());
    all_succeed(&world, &program, &ids).await;
    // The consumers of the log begin where the deleted ones were, and not with the whole log.
    let stream = stream(&world, "REQUESTS_0").await;
    for name in ["orchestrator", "projector"] {
        let consumer = stream.consumer_info(name).await.unwrap();
        let policy = format!("{:?}", consumer.config.deliver_policy);
        assert!(policy.contains("ByStartSequence"), "{name}: {policy}");
    }
}

#[tokio::test]
async fn a_projector_whose_consumer_was_deleted_while_it_was_away_publishes_nothing_again() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let mut program = up(&world, &valuer, &SETTINGS).await;
    go.send_replace(true);
    let first = program.client().submit(&document(1, 1), "").await.id();
    program.client().until_status(&first, "succeeded").await;
    until("the projector has noted where it is", || async {
        // It notes at most every five seconds, and after a chunk or in a quiet second.
        let noted = published(&world).await;
        noted.is_some_and(|noted| noted > 1)
    })
    .await;
    program.kill().await;
    let feed = messages(&world, "LIFECYCLE").await;
    let log = stream(&world, "REQUESTS_0").await;
    log.delete_consumer("projector").await.unwrap();
    program.restart().await;
    let consumer = log.consumer_info("projector").await.unwrap();
    let policy = format!("{:?}", consumer.config.deliver_policy);
    assert!(policy.contains("ByStartSequence"), "{policy}");
    let second = program.client().submit(&document(1, 1), "").await.id();
    program.client().until_status(&second, "succeeded").await;
    until("the feed has the events of the second request", || async {
        messages(&world, "LIFECYCLE").await >= 2 * feed
    })
    .await;
    assert_eq!(messages(&world, "LIFECYCLE").await, 2 * feed);
}

#[tokio::test]
async fn a_restart_begins_to_look_at_the_oldest_open_request() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let mut program = up(&world, &valuer, &SETTINGS).await;
    let ids = waiting(&world, &program).await;
    until("the checkpoint is stored", || async {
        checkpoint(&world).await.is_some()
    })
    .await;
    program.kill().await;
    purge(&world, "TASKS", "tasks.>").await;
    program.restart().await;
    go.send_replace(true);
    all_succeed(&world, &program, &ids).await;
    until("nothing is open before the end of the log", || async {
        let end = stream(&world, "REQUESTS_0")
            .await
            .cached_info()
            .state
            .last_sequence;
        let stored = checkpoint(&world).await.unwrap();
        stored["from"] == end + 1
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_this_version_cannot_read_is_followed_once_it_can() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move { Reply::Result(result_of(&call)) }).await;
    let mut settings = vec![("EXECUTOR", valuer.url()), OFTEN];
    // The older version does not know an event of the first commit.
    settings.push(("FANFOLD_UNKNOWN_EVENT", "group-started"));
    let start =
        |role, settings| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, settings);
    let newer = &[settings[0], settings[1]];
    let (api, _projector) = (start("api", newer).await, start("projector", newer).await);
    let _worker = start("worker", newer).await;
    let mut older = start("orchestrator", &settings).await;
    let id = api.client().submit(&document(2, 2), "").await.id();
    until("the older version has set it aside", || async {
        messages(&world, "DEAD_LETTERS").await > 0
    })
    .await;
    until("the checkpoint names it", || async {
        let stored = checkpoint(&world).await.unwrap_or_default();
        stored["unreadable"].to_string().contains(&id)
    })
    .await;
    older.kill().await;
    // Forward.
    let mut newer = start("orchestrator", newer).await;
    api.client().until_status(&id, "succeeded").await;
    // And back, with a request that the newer version has begun.
    newer.kill().await;
    older.restart().await;
    let id = api.client().submit(&document(1, 1), "").await.id();
    until("it is set aside, too", || async {
        messages(&world, "DEAD_LETTERS").await > 1
    })
    .await;
    older.kill().await;
    newer.restart().await;
    tokio::time::timeout(
        Duration::from_mins(1),
        api.client().until_status(&id, "succeeded"),
    )
    .await
    .unwrap();
    nothing_is_stuck(&world).await;
}

/// Publishes the first commit of a request again, as that of another request, with a deadline as a
/// process would choose it whose clock is an hour slow.
async fn submitted_by_a_slow_clock(world: &World) -> RequestId {
    let log = stream(world, "REQUESTS_0").await;
    let commit = log.get_raw_message(1).await.unwrap();
    let mut events: Value = serde_json::from_slice(&commit.payload).unwrap();
    let deadline = &mut events[1]["group-started"]["deadline"];
    let wrong: Timestamp = deadline.as_str().unwrap().parse().unwrap();
    let wrong = wrong - SignedDuration::from_hours(1);
    *deadline = wrong.to_string().into();
    let request = RequestId::of_key("test", "slow clock");
    let mut headers = commit.headers.clone();
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    let subject = format!("requests.{}.{request}", request.partition());
    let jetstream = world.jetstream().await;
    let body = events.to_string().into();
    let sent = jetstream.publish_with_headers(subject, headers, body);
    sent.await.unwrap().await.unwrap();
    request
}

#[tokio::test]
async fn a_process_whose_clock_is_an_hour_slow_fails_no_group() {
    let world = World::start().await;
    let (valuer, go) = Valuer::held().await;
    let program = up(&world, &valuer, &SETTINGS).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    until("its task runs", || async { valuer.calls().len() == 1 }).await;
    let slow = submitted_by_a_slow_clock(&world).await.to_string();
    until("the timers of both are set", || async {
        messages(&world, "REPORTS").await == 4
    })
    .await;
    go.send_replace(true);
    client.until_status(&slow, "succeeded").await;
    client.until_status(&id, "succeeded").await;
}
