use harness::{Program, Reply, Valuer, World, result_of, until, until_some};
use reqwest::StatusCode;

use crate::{document, messages, up};

#[tokio::test]
async fn a_task_that_fails_twice_and_then_succeeds_leaves_no_mark_but_its_attempts() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.attempt < 3 {
            Reply::Status(503, "busy".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["attempts"], 3);
    assert_eq!(status["failedTasks"], 0);
    let attempts: Vec<u32> = valuer.calls().iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
}

#[tokio::test]
async fn a_task_out_of_attempts_is_dead_lettered_and_every_answer_says_why() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 1 {
            Reply::Status(500, "kaboom".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(2, 3), "").await.id();
    let status = client.until_status(&id, "failed").await;
    assert_eq!(status["failedTasks"], 1);
    assert_eq!(status["groups"][0]["completed"], 2, "siblings finish");
    assert_eq!(status["groups"][0]["status"], "failed");
    assert_eq!(status["groups"][1]["status"], "waiting");

    let results = client.results(&id).await;
    assert_eq!(results.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_ne!(results.header("fanfold-sequence"), "");
    let failure = &results.json()["failure"];
    assert_eq!(failure["code"], "tasks-failed");
    assert_eq!(failure["group"], 0);
    let task = &failure["tasks"][0];
    assert_eq!(task["task"], 1);
    assert_eq!(task["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(task["attempts"][2]["code"], "http-500");
    assert_eq!(task["deadLetter"], format!("{id}.0.1.0"));

    // The answers above may come from the log, before the view is written.
    let redis = world.redis().await;
    let view: String = until_some("the view is written", || async {
        let mut redis = redis.clone();
        redis::cmd("GET")
            .arg(format!("cache:request:{id}:failure"))
            .query_async::<Option<String>>(&mut redis)
            .await
            .unwrap()
    })
    .await;
    assert!(view.contains("http-500"), "{view}");
    let letters = world
        .jetstream()
        .await
        .get_stream("DEAD_LETTERS")
        .await
        .unwrap();
    let letter = letters
        .get_last_raw_message_by_subject(&format!("dead-letters.default.{id}.0.1.0"))
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&letter.payload).contains("http-500"));
    world.flush_redis().await;
    assert_eq!(
        client.results(&id).await.json()["failure"],
        *failure,
        "the log has it all"
    );
}

#[tokio::test]
async fn a_document_that_cannot_be_hydrated_fails_with_the_cause_and_is_never_stuck() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let broken = document(1, 1).replace("market[1]", "market[7]");
    let id = client.submit(&broken, "").await.id();
    client.until_status(&id, "failed").await;
    let body = client.results(&id).await.json();
    assert_eq!(body["code"], "hydration-no-match");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("/vnml/project/market[7]"),
        "{body}"
    );
    assert!(valuer.calls().is_empty());
}

#[tokio::test]
async fn a_document_missing_from_the_object_store_fails_its_request_with_the_cause() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url())];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let client = api.client();
    let big = document(1, 1_000);
    assert!(big.len() > 64 * 1024, "it does not ride inline");
    let id = client.submit(&big, "").await.id();
    let jetstream = world.jetstream().await;
    let objects = jetstream.get_stream("OBJ_PAYLOADS").await.unwrap();
    objects.purge().await.unwrap();
    let _rest = (start("orchestrator").await, start("projector").await);
    client.until_status(&id, "failed").await;
    let body = client.results(&id).await.json();
    assert_eq!(body["code"], "payload-missing");
    assert_eq!(body["failure"]["redriveMayHelp"], false);
}

#[tokio::test]
async fn with_fail_fast_the_first_task_given_up_stops_its_siblings() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task > 1 {
            std::future::pending::<()>().await;
        }
        Reply::Status(422, "no such curve".into())
    })
    .await;
    let settings = [("FAIL_FAST", "true"), ("WORKER_CONCURRENCY", "4")];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 20), "").await.id();
    client.until_status(&id, "failed").await;
    let failure = client.results(&id).await.json()["failure"].clone();
    assert_eq!(failure["code"], "tasks-failed");
    assert_eq!(failure["tasks"].as_array().unwrap().len(), 1);
    until("its siblings are stopped", || async {
        messages(&world, "TASKS").await == 0
    })
    .await;
    assert!(valuer.calls().len() < 20, "those that waited do not start");
}
