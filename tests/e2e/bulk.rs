//! Bulk operations. The first four tests are faults of a peer: it acted on the visible page only, on
//! what was not selected, with counts that did not add up, and said "completed" of what failed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Answer, Client, Program, Reply, Valuer, World, result_of, until, until_some};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{document, fanfold, history, post, up};

/// A service that refuses every task until it is mended.
struct Broken {
    valuer: Valuer,
    mended: Arc<AtomicBool>,
}

impl Broken {
    async fn start() -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = mended.clone();
        let valuer = Valuer::start(move |call| {
            let mended = is_mended.load(Ordering::Relaxed);
            async move {
                if mended && !call.document.contains("hopeless") {
                    Reply::Result(result_of(&call))
                } else {
                    Reply::Status(400, "it is broken".into())
                }
            }
        })
        .await;
        Self { valuer, mended }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }
}

/// A request that fails, for good where it is hopeless.
async fn failed(client: &Client, tasks: usize, name: &str) -> String {
    let document = document(1, tasks).replace("name=\"m\"", &format!("name=\"{name}\""));
    let id = client.submit(&document, "").await.id();
    client.until_status(&id, "failed").await;
    id
}

async fn some_failed(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(failed(client, 1, "m").await);
    }
    ids
}

async fn drafted(client: &Client, order: Value) -> Value {
    let draft = post(client, "/operations", &order).await;
    assert_eq!(draft.status, StatusCode::CREATED, "{}", draft.body);
    let told = draft.json();
    let id = told["id"].as_str().unwrap();
    assert_eq!(draft.header("location"), format!("/operations/{id}"));
    told
}

fn id(operation: &Value) -> &str {
    operation["id"].as_str().unwrap()
}

async fn give(client: &Client, operation: &Value, command: &str, body: Value) -> Answer {
    let path = format!("/operations/{}/{command}", id(operation));
    post(client, &path, &body).await
}

async fn started(client: &Client, operation: &Value, plan: Value) -> Value {
    let started = give(client, operation, "start", plan).await;
    assert_eq!(started.status, StatusCode::OK, "{}", started.body);
    started.json()
}

/// The operation now. Its counts add up whenever anybody looks.
async fn now(client: &Client, operation: &Value) -> Value {
    let told = client.get(&format!("/operations/{}", id(operation))).await;
    let told = told.json();
    let parts = ["done", "failed", "refused", "skipped", "pending"];
    let sum: u64 = parts.iter().map(|part| told[part].as_u64().unwrap()).sum();
    assert_eq!(sum, told["selected"].as_u64().unwrap(), "{told}");
    assert_eq!(told["selected"], operation["selected"]);
    told
}

async fn until_is(client: &Client, operation: &Value, status: &str) -> Value {
    until_some(&format!("the operation is {status}"), || async {
        let told = now(client, operation).await;
        (told["status"] == status).then_some(told)
    })
    .await
}

fn counts(told: &Value) -> [u64; 5] {
    ["done", "failed", "refused", "skipped", "pending"].map(|part| told[part].as_u64().unwrap())
}

#[tokio::test]
async fn an_operation_has_all_that_match_beyond_any_page_and_nothing_that_came_later() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    // More than a page of the list, and more than the selection reads at once.
    failed(&client, 250, "m").await;
    // A letter that is not complete yet will be stored once more.
    let letters = || async {
        let all = client.get("/dead-letters?limit=1000").await.json();
        let all = all["deadLetters"].as_array().unwrap().clone();
        let complete = all.iter().filter(|letter| letter["sequence"].is_u64());
        complete.count()
    };
    until("every letter is there", || async { letters().await == 250 }).await;
    let page = client.get("/dead-letters").await.json();
    assert_eq!(page["deadLetters"].as_array().unwrap().len(), 100);

    let order = json!({"action": "discard", "deadLetters": {"type": "default"}});
    let draft = drafted(&client, order).await;
    assert_eq!(
        (&draft["selected"], &draft["status"]),
        (&json!(250), &json!("draft"))
    );
    assert_eq!(draft["outlook"], json!({"act": 250}));
    // It matches the filter and came after the selection was made.
    failed(&client, 1, "m").await;
    until("the later letter is there", || async {
        letters().await == 251
    })
    .await;
    started(&client, &draft, json!({"perSecond": 1000})).await;
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [250, 0, 0, 0, 0]);
    assert_eq!(letters().await, 1);
}

#[tokio::test]
async fn a_redrive_is_done_only_where_the_request_succeeded_and_failed_where_it_failed_again() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    let ids = some_failed(&client, 2).await;
    let hopeless = failed(&client, 1, "hopeless").await;
    let order = json!({
        "action": "redrive", "requests": {"status": "failed"}, "reason": "try", "by": "anna",
    });
    let draft = drafted(&client, order).await;
    started(&client, &draft, json!({})).await;
    let end = until_is(&client, &draft, "completed").await;
    // The cause is still there: every command was accepted, and nothing recovered.
    assert_eq!(counts(&end), [0, 3, 0, 0, 0]);
    assert_eq!(
        (&end["by"], &end["onBehalfOf"]),
        (&json!("anonymous"), &json!("anna"))
    );

    broken.mend();
    let all = [ids.clone(), vec![hopeless.clone()]].concat();
    let order = json!({"action": "redrive", "ids": all, "reason": "it is mended"});
    let draft = drafted(&client, order).await;
    started(&client, &draft, json!({})).await;
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [2, 1, 0, 0, 0]);
    let items = client.get(&format!("/operations/{}/items?status=failed", id(&draft)));
    let items = items.await.json();
    assert_eq!(items["items"][0]["requestId"], json!(hopeless));
    let reason = items["items"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("tasks-failed"), "{reason}");
    for id in &ids {
        assert_eq!(client.status(id).await.json()["status"], "succeeded");
    }
}

#[tokio::test]
async fn a_redriven_request_is_pending_as_long_as_it_runs() {
    let world = World::start().await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let valuer = Valuer::start(move |call| {
        let mut gate = gate.clone();
        async move {
            if call.attempt == 1 {
                return Reply::Status(400, "no".into());
            }
            gate.wait_for(|open| *open).await.unwrap();
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    some_failed(&client, 3).await;
    let order = json!({"action": "redrive", "deadLetters": {}, "reason": "again"});
    let draft = drafted(&client, order).await;
    started(&client, &draft, json!({})).await;
    let running = until_some("all run", || async {
        let told = now(&client, &draft).await;
        (told["running"] == 3).then_some(told)
    })
    .await;
    assert_eq!(counts(&running), [0, 0, 0, 0, 3]);
    assert_eq!(running["status"], "running");
    open.send(true).unwrap();
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [3, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_changed_since_the_selection_is_skipped_or_refused_with_the_reason() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    let ids = some_failed(&client, 3).await;
    broken.mend();
    let order = json!({"action": "redrive", "ids": ids, "reason": "it is mended"});
    let draft = drafted(&client, order).await;
    // Somebody redrives one of them by hand.
    let path = format!("/valuation/{}/redrive", ids[1]);
    post(&client, &path, &json!({"reason": "by hand"})).await;
    client.until_status(&ids[1], "succeeded").await;
    // A second selection sees what the first could not.
    let order = json!({"action": "redrive", "ids": ids, "reason": "once more"});
    let second = drafted(&client, order).await;
    let refuse =
        json!({"the request ended as succeeded; only a failed request can be redriven": 1});
    assert_eq!(second["outlook"], json!({"act": 2, "refuse": refuse}));

    started(&client, &draft, json!({})).await;
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [2, 0, 0, 1, 0]);
    let items = client.get(&format!("/operations/{}/items?status=skipped", id(&draft)));
    let items = items.await.json();
    assert_eq!(items["items"][0]["requestId"], json!(ids[1]));
    assert_eq!(items["items"][0]["reason"], "it was redriven meanwhile");

    started(&client, &second, json!({})).await;
    let end = until_is(&client, &second, "completed").await;
    assert_eq!(counts(&end), [0, 0, 1, 2, 0]);
}

#[tokio::test]
async fn a_canary_pauses_the_operation_and_too_many_failures_stop_it() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    some_failed(&client, 8).await;
    let order = json!({"action": "redrive", "deadLetters": {}, "reason": "again"});
    let draft = drafted(&client, order).await;
    let plan = json!({"canary": 2, "perSecond": 4, "stopAfterFailures": 4});
    started(&client, &draft, plan).await;
    let paused = until_is(&client, &draft, "paused").await;
    assert_eq!(counts(&paused), [0, 2, 0, 0, 6]);
    let note = paused["note"].as_str().unwrap();
    assert!(note.contains("2 of the canary failed"), "{note}");
    let resumed = give(&client, &draft, "resume", json!({})).await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.body);
    let stopped = until_is(&client, &draft, "stopped").await;
    assert_eq!(
        stopped["note"].as_str().unwrap().split(':').next(),
        Some("stopped")
    );
    let end = until_some("what was asked for has ended", || async {
        let told = now(&client, &draft).await;
        (told["pending"] == 0).then_some(told)
    })
    .await;
    assert!(end["failed"].as_u64().unwrap() >= 4 && end["skipped"].as_u64().unwrap() > 0);
    let resumed = give(&client, &draft, "resume", json!({})).await;
    assert_eq!(resumed.json()["code"], "already-ended");
}

/// Everything is killed while the operation is under way: the program with all its roles, the
/// broker and Redis.
#[tokio::test]
async fn an_operation_survives_the_death_of_everything_and_redrives_each_request_once() {
    let mut world = World::own().await;
    let broken = Broken::start().await;
    let settings = [("TAKEOVER_AFTER_MS", "1000")];
    let mut program: Program = up(&world, &broken.valuer, &settings).await;
    let client = program.client();
    let ids = some_failed(&client, 8).await;
    broken.mend();
    let order = json!({"action": "redrive", "deadLetters": {}, "reason": "it is mended"});
    let draft = drafted(&client, order).await;
    started(&client, &draft, json!({"perSecond": 4})).await;
    until("a part is done", || async {
        let told = now(&client, &draft).await;
        (1..8).contains(&told["done"].as_u64().unwrap())
    })
    .await;
    program.kill().await;
    world.kill_nats().await;
    world.restart_redis_empty().await;
    world.restart_nats().await;
    program.restart().await;
    let client = program.client();
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [8, 0, 0, 0, 0]);
    for id in &ids {
        let redriven = history(&world, id).await;
        let redriven = redriven.iter().filter(|event| *event == "redriven");
        assert_eq!(redriven.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn an_operation_is_paused_resumed_and_cancelled_and_listed() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    some_failed(&client, 4).await;
    let order = json!({"action": "redrive", "deadLetters": {}, "reason": "again"});
    let draft = drafted(&client, order).await;
    let early = give(&client, &draft, "pause", json!({})).await;
    assert_eq!(early.json()["code"], "not-started");
    started(&client, &draft, json!({"perSecond": 1})).await;
    for (command, status) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("pause", "paused"),
    ] {
        let given = give(&client, &draft, command, json!({"by": "anna"})).await;
        assert_eq!(given.json()["status"], status, "{}", given.body);
    }
    let cancelled = give(&client, &draft, "cancel", json!({"reason": "enough"})).await;
    assert_eq!(
        cancelled.json()["status"],
        "cancelled",
        "{}",
        cancelled.body
    );
    assert_eq!(cancelled.json()["note"], "cancelled by anonymous: enough");
    assert!(cancelled.json()["skipped"].as_u64().unwrap() >= 2);
    let list = client.get("/operations").await.json();
    assert_eq!(list["operations"][0]["id"], draft["id"]);
    let pages = format!("/operations/{}/items?limit=3", id(&draft));
    let page = client.get(&pages).await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (3, &json!(3))
    );
    let page = client.get(&format!("{pages}&cursor=3")).await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (1, &json!(null))
    );

    let running = client.submit(&document(1, 1), "").await.id();
    client.until_status(&running, "failed").await;
    let cancel = json!({"action": "cancel", "ids": [running], "reason": "too late"});
    let late = drafted(&client, cancel).await;
    assert_eq!(late["outlook"]["act"], 0, "{late}");
}

#[tokio::test]
async fn an_order_that_cannot_be_followed_is_refused_with_its_reason() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    let one = failed(&client, 1, "m").await;
    for (order, code) in [
        (
            json!({"action": "explode", "ids": [one], "reason": "r"}),
            "invalid-filter",
        ),
        (
            json!({"action": "redrive", "reason": "r"}),
            "invalid-filter",
        ),
        (
            json!({"action": "redrive", "ids": [one], "deadLetters": {}, "reason": "r"}),
            "invalid-filter",
        ),
        (json!({"action": "redrive", "ids": [one]}), "invalid-reason"),
        (
            json!({"action": "redrive", "ids": ["x"], "reason": "r"}),
            "invalid-id",
        ),
        (json!({"action": "discard", "ids": [one]}), "invalid-filter"),
        (
            json!({"action": "discard", "deadLetters": {"type": "*"}}),
            "invalid-filter",
        ),
        (
            json!({"action": "discard", "deadLetters": {"code": "none"}}),
            "nothing-selected",
        ),
        (
            json!({"action": "cancel", "requests": {"status": "x"}, "reason": "r"}),
            "invalid-filter",
        ),
        (
            json!({"action": "cancel", "requests": {"since": "x"}, "reason": "r"}),
            "invalid-since",
        ),
    ] {
        let refused = post(&client, "/operations", &order).await;
        assert_eq!(refused.json()["code"], code, "{order}: {}", refused.body);
    }
    let draft = drafted(
        &client,
        json!({"action": "redrive", "ids": [one], "reason": "r"}),
    )
    .await;
    for (plan, code) in [
        (json!({"perSecond": 0}), "invalid-plan"),
        (json!({"stopAfterFailures": 0}), "invalid-plan"),
        (json!({"canaries": 1}), "invalid-body"),
    ] {
        let refused = give(&client, &draft, "start", plan).await;
        assert_eq!(refused.json()["code"], code, "{}", refused.body);
    }
    for (path, code) in [
        ("/operations/7", "invalid-id"),
        (
            "/operations/0199e0a1-2b3c-7d4e-8f50-617283940516",
            "unknown-operation",
        ),
        (
            "/operations/0199e0a1-2b3c-7d4e-8f50-617283940516/items",
            "unknown-operation",
        ),
    ] {
        assert_eq!(client.get(path).await.json()["code"], code, "{path}");
    }
    let unknown = "/operations/0199e0a1-2b3c-7d4e-8f50-617283940516/start";
    let refused = post(&client, unknown, &json!({})).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.body);
}

#[tokio::test]
async fn a_running_request_is_cancelled_by_an_operation() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "running").await;
    let order = json!({"action": "cancel", "requests": {"status": "running"}, "reason": "enough"});
    let draft = drafted(&client, order).await;
    assert_eq!(draft["selected"], 1);
    started(&client, &draft, json!({})).await;
    let end = until_is(&client, &draft, "completed").await;
    assert_eq!(counts(&end), [1, 0, 0, 0, 0]);
    client.until_status(&id, "cancelled").await;
}

#[tokio::test]
async fn the_command_line_starts_shows_and_ends_operations() {
    let world = World::start().await;
    let broken = Broken::start().await;
    let program = up(&world, &broken.valuer, &[]).await;
    let client = program.client();
    let ids = some_failed(&client, 3).await;
    let start = [
        "operation",
        "start",
        "redrive",
        "--code",
        "http-400",
        "--reason",
        "again",
    ];
    let said = fanfold(&world, &["operation", "start", "redrive", "--reason", "r"]).await;
    assert!(!said.ok && said.err.contains("--all"), "{}", said.err);
    let said = fanfold(&world, &[&start[..], &["--dry-run"]].concat()).await;
    assert!(
        said.ok && said.out.contains("3  would be acted on: redrive"),
        "{}{}",
        said.out,
        said.err
    );
    let draft = said
        .err
        .split('`')
        .nth(1)
        .unwrap()
        .split(' ')
        .next_back()
        .unwrap()
        .to_owned();
    let said = fanfold(&world, &["operation", "cancel", &draft, "--reason", "no"]).await;
    assert!(
        said.out
            .contains("3 selected: 0 done, 0 failed, 0 refused, 3 skipped, 0 pending"),
        "{}",
        said.out
    );

    let said = fanfold(&world, &[&start[..], &["--wait"]].concat()).await;
    assert!(!said.ok, "what failed again is no success");
    assert!(
        said.out.contains("3 selected: 0 done, 3 failed"),
        "{}{}",
        said.out,
        said.err
    );
    broken.mend();
    let said = fanfold(&world, &[&start[..], &["--wait"]].concat()).await;
    assert!(
        said.ok && said.out.contains("3 selected: 3 done"),
        "{}{}",
        said.out,
        said.err
    );
    let said = fanfold(&world, &["operation", "list"]).await;
    assert_eq!(
        (said.out.lines().count(), said.err.as_str()),
        (3, "3 operations\n")
    );
    let newest = said.out.split(' ').next().unwrap();
    let said = fanfold(&world, &["operation", "show", newest, "--items", "done"]).await;
    for id in &ids {
        assert!(said.out.contains(&format!("{id}  done")), "{}", said.out);
    }
    let said = fanfold(&world, &["operation", "show", newest, "--json"]).await;
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&told["done"], &told["by"]), (&json!(3), &json!("tester")));
}
