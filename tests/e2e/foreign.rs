//! Unusable results from a worker that is not Fanfold's.

use async_nats::jetstream::consumer::PullConsumer;
use futures::StreamExt as _;
use harness::{Client, Program, World, priced, until};
use serde_json::{Value, json};

use crate::{document, fanfold, messages};

/// A program without a worker.
struct Scene {
    world: World,
    api: Program,
    _others: [Program; 2],
}

async fn scene(settings: &[(&str, &str)]) -> Scene {
    let world = World::start().await;
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, settings);
    let (api, others) = (
        start("api").await,
        [start("orchestrator").await, start("projector").await],
    );
    Scene {
        world,
        api,
        _others: others,
    }
}

/// Takes the next task and reports this verdict on it. Returns the task's document.
async fn work(world: &World, verdict: impl Fn(&str) -> Value) -> String {
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("TASKS").await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("worker-default").await.unwrap();
    let mut messages = consumer.fetch().max_messages(1).messages().await.unwrap();
    let message = loop {
        match messages.next().await {
            Some(message) => break message.unwrap(),
            None => messages = consumer.fetch().max_messages(1).messages().await.unwrap(),
        }
    };
    let parts: Vec<&str> = message.subject.split('.').collect();
    let [_, _, partition, request, group, task] = parts[..] else {
        panic!("{}", message.subject)
    };
    let before = message.headers.as_ref();
    let before = before.and_then(|headers| headers.get("Fanfold-Attempts-Before"));
    let before: i64 = before.map_or(0, |text| text.as_str().parse().unwrap());
    let text = String::from_utf8(message.payload.to_vec()).unwrap();
    let report = json!({ "outcome": {
        "group": group.parse::<u32>().unwrap(),
        "task": task.parse::<u32>().unwrap(),
        "attempt": before + message.info().unwrap().delivered,
        "worker": "mine",
        "startedAt": "2026-11-29T00:00:00Z",
        "durationMs": 1,
        // An extra field of the worker's own.
        "checked": true,
        "verdict": verdict(&text),
    }});
    let to = format!("reports.{partition}.{request}.{group}.{task}");
    let report = serde_json::to_vec(&report).unwrap();
    jetstream
        .publish(to, report.into())
        .await
        .unwrap()
        .await
        .unwrap();
    message.double_ack().await.unwrap();
    text
}

fn inline(text: &str) -> Value {
    json!({ "succeeded": { "inline": text } })
}

fn stored(sha256: &str, size: u64) -> Value {
    json!({ "succeeded": { "stored": { "sha256": sha256, "size": size } } })
}

async fn redrive(client: &Client, id: &str) -> Value {
    let path = format!("/valuation/{id}/redrive");
    let call = client.call(reqwest::Method::POST, &path);
    let call = call.header("content-type", "application/json");
    client
        .send(call.body("{\"reason\":\"it is repaired\"}"))
        .await
        .json()
}

#[tokio::test]
async fn an_unusable_result_of_a_foreign_worker_is_a_failed_attempt_and_can_be_redriven() {
    let scene = scene(&[("RESULT_MAX_BYTES", "20000")]).await;
    let client = scene.api.client();
    let deep = format!(
        "<vnml><project><group><valuation>{}{}</valuation></group></project></vnml>",
        "<a>".repeat(200),
        "</a>".repeat(200)
    );
    let large = format!("<vnml>{}</vnml>", " ".repeat(20_000));
    let verdicts = [
        (
            inline("Traceback (most recent call last)"),
            "result-invalid",
        ),
        (inline("<vnml><project/></vnml>"), "result-invalid"),
        (inline(&deep), "result-invalid"),
        (inline(&large), "result-too-big"),
        (stored(&"0".repeat(64), 20_001), "result-too-big"),
    ];
    for (number, (verdict, code)) in verdicts.into_iter().enumerate() {
        let id = client.submit(&document(1, 1), "").await.id();
        let given = work(&scene.world, |_| verdict.clone()).await;
        let status = client.until_status(&id, "failed").await;
        assert_eq!(status["failure"]["code"], "tasks-failed", "{status}");
        let task = &status["failure"]["tasks"][0];
        assert_eq!(task["attempts"][0]["code"], code, "{status}");
        assert_eq!(task["attempts"][0]["worker"], "mine");
        let letter = task["deadLetter"].as_str().unwrap();
        let letter = client.get(&format!("/dead-letters/{letter}")).await.json();
        assert_eq!(letter["code"], code);
        assert_eq!(letter["document"]["inline"], given.as_str(), "{letter}");
        assert_eq!(messages(&scene.world, "DEAD_LETTERS").await, number + 1);

        assert_eq!(redrive(&client, &id).await["tasks"], json!([1]));
        work(&scene.world, |task| inline(&priced(task, 0, 1))).await;
        client.until_status(&id, "succeeded").await;
    }
}

#[tokio::test]
async fn a_task_whose_reported_result_is_not_stored_runs_again() {
    let scene = scene(&[
        ("FANFOLD_TEST_RETRY_DELAY_MS", "1"),
        ("MAX_TASK_ATTEMPTS", "2"),
    ])
    .await;
    let client = scene.api.client();
    let missing = stored(&"0".repeat(64), 70_000);
    let id = client.submit(&document(2, 1), "").await.id();
    work(&scene.world, |_| missing.clone()).await;
    // The task is sent again after its delay, and the next attempt succeeds.
    work(&scene.world, |task| inline(&priced(task, 0, 1))).await;
    work(&scene.world, |_| missing.clone()).await;
    work(&scene.world, |_| missing.clone()).await;
    let status = client.until_status(&id, "failed").await;
    let failure = &status["failure"];
    assert_eq!(failure["group"], 1, "{status}");
    let attempts = failure["tasks"][0]["attempts"].as_array().unwrap();
    let codes: Vec<&Value> = attempts.iter().map(|attempt| &attempt["code"]).collect();
    assert_eq!(codes, ["payload-missing", "payload-missing"]);
    assert_eq!(status["attempts"], 4);
    redrive(&client, &id).await;
    work(&scene.world, |task| inline(&priced(task, 1, 1))).await;
    client.until_status(&id, "succeeded").await;
    until("nothing is left", || async {
        messages(&scene.world, "TASKS").await == 0
    })
    .await;
}

#[tokio::test]
async fn a_type_that_is_external_is_left_to_foreign_workers_and_is_a_type_like_any_other_otherwise()
{
    let world = World::start().await;
    let file = world.folder().join("types.toml");
    let types = "[[task-types]]\nname = 'ours'\nmatches = ['w']\nexecutor = { kind = 'echo' }\n\
                 [[task-types]]\nname = 'theirs'\nmatches = ['t*']\n\
                 [[task-types]]\nname = 'default'\nexecutor = { kind = 'external' }\n";
    std::fs::write(&file, types).unwrap();
    let settings = [("FANFOLD_CONFIG", file.to_str().unwrap())];
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let client = program.client();

    // Fanfold's own worker takes the tasks of the other type while this one waits.
    let waiting = client.submit(&document(1, 1), "").await.id();
    let ours = document(1, 1).replace("name=\"v\"", "name=\"w\"");
    for _ in 0..3 {
        let answered = client.submit(&ours, "sync=Y").await;
        assert_eq!(answered.status, 200, "{}", answered.body);
    }
    assert_eq!(client.status(&waiting).await.json()["status"], "running");
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("TASKS").await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("worker-default").await.unwrap();
    let pulled = consumer.cached_info();
    assert_eq!((pulled.num_ack_pending, pulled.num_waiting), (0, 0));
    assert_eq!(pulled.num_pending, 1);

    work(&world, |task| inline(&priced(task, 0, 1))).await;
    client.until_status(&waiting, "succeeded").await;
    let stored = fanfold(&world, &["deployment", "--json"]).await.out;
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        stored["facts"]["TASK_TYPES"], "default,ours,theirs",
        "{stored}"
    );
}

#[tokio::test]
async fn a_worker_that_leaves_every_type_to_others_runs_until_it_is_asked_to_end() {
    let world = World::start().await;
    let settings = [("EXECUTOR", "external")];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let mut worker = Program::start(binary, "worker", &world, &settings).await;
    let api = Program::start(binary, "api", &world, &settings).await;
    let admin = worker.admin();
    until("the worker is ready", || admin.ready()).await;
    let _orchestrator = Program::start(binary, "orchestrator", &world, &settings).await;
    let id = api.client().submit(&document(1, 1), "").await.id();
    work(&world, |task| inline(&priced(task, 0, 1))).await;
    api.client().until_status(&id, "succeeded").await;
    assert!(worker.stop().await.success());
}
