use std::time::Duration;

use futures::future::join_all;
use harness::{Client, Collector, Program, Receiver, Reply, Valuer, World, priced, until};
use reqwest::Method;
use serde_json::Value;

use crate::{document, up};

/// The text that makes a document poisonous.
const NEEDLE: &str = "strychnine";
/// How many ordinary requests run at the same time.
const ORDINARY: usize = 20;
/// How often a process may end: once without a mark, once together with other work, twice alone,
/// and once more if the redelivery overtakes the mark.
const ENDS_MAX: usize = 5;
/// The same if the queues are lost with the process. One more end shows that a recovery never
/// finished.
const ENDS_MAX_LOST: usize = 7;

/// Short waits, so that the work of an ended process is redelivered soon.
const SHORT: [(&str, &str); 4] = [
    ("ACK_WAIT_MS", "1000"),
    ("TAKEOVER_AFTER_MS", "500"),
    ("TASK_LEASE_MS", "1000"),
    // No other task may lose an attempt.
    ("MAX_TASK_ATTEMPTS", "1"),
];

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings<'a>(poison: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = SHORT.to_vec();
    all.push(("FANFOLD_POISON", poison));
    all.extend(more);
    all
}

fn poisonous() -> String {
    document(2, 3).replace("<rate>", &format!("<rate>{NEEDLE}"))
}

/// Submits the poisonous document to a process that also works on it and may end before it answers.
/// The key gives the id of the request anyway.
async fn submit_poisonous(client: &Client) -> String {
    let key = "poison";
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let answer = call.header("idempotency-key", key).body(poisonous()).send();
    if let Ok(answer) = answer.await {
        assert_eq!(answer.status(), 202);
    }
    domain::request::RequestId::of_key("anonymous", key).to_string()
}

/// Submits ordinary requests before and after a poisonous one. Returns its id, and theirs.
async fn submit_all(client: &Client) -> (String, Vec<String>) {
    let ordinary = document(2, 3);
    let submit = || async { client.submit(&ordinary, "").await.id() };
    let mut ids = join_all((0..ORDINARY / 2).map(|_| submit())).await;
    let bad = client.submit(&poisonous(), "").await.id();
    ids.extend(join_all((0..ORDINARY / 2).map(|_| submit())).await);
    (bad, ids)
}

async fn until_ended(client: &Client, bad: &str, ids: &[String]) {
    for id in ids {
        client.until_status(id, "succeeded").await;
    }
    client.until_status(bad, "failed").await;
}

/// Checks that no other request is affected: earlier requests have succeeded, and a new one is
/// served.
async fn nobody_else_noticed(client: &Client, ids: &[String]) {
    for id in ids {
        let status = client.status(id).await.json();
        assert_eq!(status["failedTasks"], 0, "{status}");
    }
    let answer = client.submit(&document(1, 1), "sync=Y").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

async fn failure(client: &Client, id: &str) -> Value {
    client.results(id).await.json()["failure"].clone()
}

/// Runs the roles as processes. One role is poisoned, and restarted whenever it ends.
async fn as_processes(
    role: &str,
    poison: &str,
    valuer: &Valuer,
) -> (World, Program, String, usize) {
    let world = World::start().await;
    let executor = [("EXECUTOR", valuer.url())];
    let settings = settings(poison, &executor);
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let client = api.client();
    let mut poisoned = start(role).await;
    let mut others = Vec::new();
    for other in ["orchestrator", "worker", "projector"] {
        if other != role {
            others.push(start(other).await);
        }
    }
    let (bad, ids) = submit_all(&client).await;
    let ended = until_ended(&client, &bad, &ids);
    let ends = poisoned.supervised(ENDS_MAX, ended).await;
    assert!(ends > 0, "the poison does nothing");
    nobody_else_noticed(&client, &ids).await;
    drop((poisoned, others));
    (world, api, bad, ends)
}

#[tokio::test]
async fn a_document_that_ends_every_orchestrator_fails_its_own_request() {
    let valuer = Valuer::golden().await;
    let poison = format!("orchestrator:abort:{NEEDLE}");
    let (_world, api, bad, _) = as_processes("orchestrator", &poison, &valuer).await;
    let failure = failure(&api.client(), &bad).await;
    assert_eq!(failure["code"], "internal", "{failure}");
    assert_eq!(failure["redriveMayHelp"], false);
    let message = failure["message"].as_str().unwrap();
    // By a commit, or while the queues were recovered for the first time.
    assert!(
        message.contains("times by processes that ended"),
        "{message}"
    );
    assert!(message.contains("pid"), "{message}");
    assert!(!message.contains(NEEDLE));
}

#[tokio::test]
async fn a_report_that_ends_every_orchestrator_fails_its_own_request() {
    let valuer = Valuer::start(|call| async move {
        Reply::Result(priced(&call.document, call.group, call.task))
    })
    .await;
    let poison = format!("gather:abort:{NEEDLE}");
    let (world, api, bad, _) = as_processes("orchestrator", &poison, &valuer).await;
    let failure = failure(&api.client(), &bad).await;
    assert_eq!(failure["code"], "internal", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("the work on report"), "{message}");
    until("the report is a dead letter", || async {
        crate::messages(&world, "DEAD_LETTERS").await > 0
    })
    .await;
}

#[tokio::test]
async fn a_task_that_ends_every_worker_is_given_up_and_costs_no_other_an_attempt() {
    let valuer = Valuer::golden().await;
    let poison = format!("worker:abort:{NEEDLE}");
    let (_world, api, bad, _) = as_processes("worker", &poison, &valuer).await;
    let failure = failure(&api.client(), &bad).await;
    assert_eq!(failure["code"], "tasks-failed", "{failure}");
    let attempts = failure["tasks"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.last().unwrap()["code"], "attempts-exhausted");
}

/// Runs all roles in one process, which is restarted whenever it ends.
async fn in_up(poison: &str, valuer: &Valuer) -> (World, Program, String) {
    let world = World::start().await;
    let settings = settings(poison, &[]);
    let mut program = up(&world, valuer, &settings).await;
    let client = program.client();
    let ordinary = document(2, 3);
    let id = client.submit(&ordinary, "").await.id();
    client.until_status(&id, "succeeded").await;
    let bad = submit_poisonous(&client).await;
    // The API is down at times, so do not ask it before the end.
    let ended = until("the poison is contained", || contained(&world, &bad));
    let ends = program.supervised(ENDS_MAX, ended).await;
    assert!(ends > 0, "the poison does nothing");
    until("the API is there", || client.ready()).await;
    client.until_status(&bad, "failed").await;
    nobody_else_noticed(&client, &[id]).await;
    (world, program, bad)
}

async fn contained(world: &World, id: &str) -> bool {
    crate::history(world, id)
        .await
        .iter()
        .any(|event| event == "failed")
}

#[tokio::test]
async fn in_up_a_document_that_ends_the_process_fails_its_own_request() {
    let valuer = Valuer::golden().await;
    let poison = format!("orchestrator:abort:{NEEDLE}");
    let (_world, program, bad) = Box::pin(in_up(&poison, &valuer)).await;
    assert_eq!(failure(&program.client(), &bad).await["code"], "internal");
}

#[tokio::test]
async fn in_up_a_task_that_ends_the_process_is_given_up() {
    let valuer = Valuer::golden().await;
    let poison = format!("worker:abort:{NEEDLE}");
    let (_world, program, bad) = Box::pin(in_up(&poison, &valuer)).await;
    assert_eq!(
        failure(&program.client(), &bad).await["code"],
        "tasks-failed"
    );
}

#[tokio::test]
async fn a_document_that_panics_repeatedly_fails_its_own_request_and_ends_no_process() {
    let valuer = Valuer::golden().await;
    let poison = ["orchestrator", "gather"].map(|role| format!("{role}:panic:{NEEDLE}-{role}"));
    let world = World::start().await;
    let poison = format!("{},worker:panic:{NEEDLE}-worker", poison.join(","));
    let settings = settings(&poison, &[]);
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let pid = program.pid();
    let ordinary = client.submit(&document(2, 3), "").await.id();
    for (role, code) in [
        ("orchestrator", "internal"),
        ("gather", "internal"),
        ("worker", "tasks-failed"),
    ] {
        let document = poisonous().replace(NEEDLE, &format!("{NEEDLE}-{role}"));
        let bad = client.submit(&document, "").await.id();
        client.until_status(&bad, "failed").await;
        let failure = failure(&client, &bad).await;
        assert_eq!(failure["code"], code, "{failure}");
    }
    client.until_status(&ordinary, "succeeded").await;
    nobody_else_noticed(&client, &[ordinary]).await;
    assert_eq!(program.pid(), pid);
}

#[tokio::test]
async fn an_event_that_ends_every_webhook_sender_becomes_a_dead_letter() {
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[]).await;
    let world = World::start().await;
    let executor = [("EXECUTOR", valuer.url())];
    let start = |role, more: Vec<(&'static str, String)>| {
        let (world, executor) = (&world, &executor);
        async move {
            let more: Vec<(&str, &str)> = more.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let mut all = settings("", executor);
            all.extend(more);
            Program::start(env!("CARGO_BIN_EXE_fanfold"), role, world, &all).await
        }
    };
    let api = start("api", Vec::new()).await;
    let client = api.client();
    let _others = (
        start("orchestrator", Vec::new()).await,
        start("worker", Vec::new()).await,
        start("projector", Vec::new()).await,
    );
    let webhooks = |poison: String| {
        let told = vec![
            ("FANFOLD_POISON", poison),
            ("WEBHOOK_SECRET", SECRET.to_owned()),
            ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
            ("WEBHOOK_URL", receiver.url().to_owned()),
        ];
        start("webhooks", told)
    };
    // Start before the poison, because a consumer starts with new messages.
    let mut first = webhooks(String::new()).await;
    let id = client.submit(&document(1, 1), "").await.id();
    until("the first is told", || async {
        receiver.calls().len() == 1
    })
    .await;
    assert!(receiver.calls()[0].body.contains(&id));
    assert!(first.stop().await.success());

    let bad = client.submit(&document(1, 1), "").await.id();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(client.submit(&document(1, 1), "").await.id());
    }
    let mut poisoned = webhooks(format!("webhooks:abort:{bad}")).await;
    let contained = until("it is kept, and the others are told", || async {
        let told: Vec<String> = receiver.calls().into_iter().map(|call| call.body).collect();
        let is_told = |id: &String| told.iter().any(|body| body.contains(id));
        ids.iter().all(is_told) && crate::messages(&world, "DEAD_LETTERS").await == 1
    });
    let ends = poisoned.supervised(ENDS_MAX, contained).await;
    assert!(ends > 0, "the poison does nothing");
    assert!(!receiver.calls().iter().any(|call| call.body.contains(&bad)));
    client.until_status(&bad, "succeeded").await;
}

#[tokio::test]
async fn an_end_that_kills_the_tracer_is_left_out_and_the_other_traces_arrive() {
    let valuer = Valuer::golden().await;
    let collector = Collector::start().await;
    let world = World::start().await;
    let url = collector.url();
    let told = [
        ("EXECUTOR", valuer.url()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
    ];
    let start = |role, poison: String| {
        let (world, told) = (&world, &told);
        async move {
            let all = settings(&poison, told);
            Program::start(env!("CARGO_BIN_EXE_fanfold"), role, world, &all).await
        }
    };
    let api = start("api", String::new()).await;
    let client = api.client();
    let _others = (
        start("orchestrator", String::new()).await,
        start("worker", String::new()).await,
        start("projector", String::new()).await,
    );
    // Start before the poison, because a consumer starts with new messages.
    let mut first = start("tracer", String::new()).await;
    let id = client.submit(&document(1, 1), "").await.id();
    until("the first trace arrives", || async {
        collector.runs(&id).len() == 1
    })
    .await;
    assert!(first.stop().await.success());

    let bad = client.submit(&document(1, 1), "").await.id();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(client.submit(&document(1, 1), "").await.id());
    }
    let mut poisoned = start("tracer", format!("tracer:abort:{bad}")).await;
    let log = poisoned.log_path();
    let contained = until("it is left out, and the others arrive", || async {
        let arrived = |id: &String| collector.runs(id).len() == 1;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        ids.iter().all(arrived) && said.contains("a trace is left out")
    });
    let ends = poisoned.supervised(ENDS_MAX, contained).await;
    assert!(ends > 0, "the poison does nothing");
    assert!(collector.runs(&bad).is_empty());
}

#[tokio::test]
async fn a_document_that_ends_the_api_is_not_accepted_and_ends_no_other_role() {
    let valuer = Valuer::golden().await;
    let world = World::start().await;
    let poison = format!("api:abort:{NEEDLE}");
    let executor = [("EXECUTOR", valuer.url())];
    let settings = settings(&poison, &executor);
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let mut api = start("api").await;
    let _others = (
        start("orchestrator").await,
        start("worker").await,
        start("projector").await,
    );
    let client = api.client();
    let id = client.submit(&document(2, 3), "").await.id();
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    assert!(call.body(poisonous()).send().await.is_err());
    tokio::time::timeout(Duration::from_secs(30), api.ended())
        .await
        .expect("it has ended");
    api.restart().await;
    client.until_status(&id, "succeeded").await;
    nobody_else_noticed(&client, &[id]).await;
}

/// Runs all roles in one process with embedded servers, whose queues are lost whenever the process
/// ends.
async fn in_up_with_lost_queues(poison: &str, code: &str) {
    let world = World::own().await;
    let data = world.folder().join("data");
    let own = [
        ("NATS_URL", ""),
        ("REDIS_URL", ""),
        ("FANFOLD_TEST_NATS_PORT", "0"),
        ("FANFOLD_TEST_REDIS_PORT", "0"),
        ("DATA_DIR", data.to_str().unwrap()),
        ("EXECUTOR", "echo"),
    ];
    let settings = settings(poison, &own);
    let mut program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let client = program.client();
    let ordinary = client.submit(&document(2, 3), "").await.id();
    client.until_status(&ordinary, "succeeded").await;
    let bad = submit_poisonous(&client).await;
    let failed = until("the poison is contained", || has_failed(&client, &bad));
    let ends = program.supervised(ENDS_MAX_LOST, failed).await;
    assert!(ends > 0, "the poison does nothing");
    assert_eq!(failure(&client, &bad).await["code"], code);
    nobody_else_noticed(&client, &[ordinary]).await;
    assert!(program.stop().await.success());
}

/// Whether a request has failed, if the API answers.
async fn has_failed(client: &Client, id: &str) -> bool {
    let call = client.call(Method::GET, &format!("/valuation/{id}/status"));
    let Ok(answer) = call.send().await else {
        return false;
    };
    let body = answer.text().await.unwrap_or_default();
    serde_json::from_str::<Value>(&body).is_ok_and(|status| status["status"] == "failed")
}

#[tokio::test]
async fn a_document_that_ends_the_process_is_contained_where_the_queues_are_lost_each_time() {
    let poison = format!("orchestrator:abort:{NEEDLE}");
    Box::pin(in_up_with_lost_queues(&poison, "internal")).await;
}

#[tokio::test]
async fn a_report_that_ends_the_process_is_contained_where_the_queues_are_lost_each_time() {
    let poison = format!("gather:abort:{NEEDLE}");
    Box::pin(in_up_with_lost_queues(&poison, "internal")).await;
}

#[tokio::test]
async fn a_task_that_ends_the_process_is_contained_where_the_queues_are_lost_each_time() {
    let poison = format!("worker:abort:{NEEDLE}");
    Box::pin(in_up_with_lost_queues(&poison, "tasks-failed")).await;
}
