//! All the work of all roles, so that every call to the servers is made.

use harness::{Client, until, until_some};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::scene::Scene;
use crate::{document, post};

fn named(name: &str, groups: usize, tasks: usize) -> String {
    document(groups, tasks).replace("name=\"m\"", &format!("name=\"{name}\""))
}

/// Submits a document with a callback.
async fn submit(scene: &Scene, client: &Client, text: String) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let call = call.header("x-callback", scene.receiver.url());
    client.send(call.body(text)).await.id()
}

pub async fn everything(scene: &Scene) {
    let client = scene.roles["api"].client();
    let sync = client.submit(&document(2, 2), "sync=Y").await;
    assert_eq!(sync.status, StatusCode::OK, "{}", sync.body);
    let of_tenant = client.call(Method::POST, "/valuation?sync=Y");
    let of_tenant = of_tenant.header("content-type", "application/xml");
    let of_tenant = of_tenant.header("fanfold-tenant", "red");
    let answer = client.send(of_tenant.body(document(1, 1))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let small = submit(scene, &client, document(1, 2)).await;
    let padding = format!("large-{}", "x".repeat(200_000));
    let large = submit(scene, &client, named(&padding, 2, 2)).await;
    for id in [&small, &large] {
        client.until_status(id, "succeeded").await;
        let results = client.results(id).await;
        assert_eq!(results.status, StatusCode::OK, "{}", results.body);
    }
    until("the ends are told, one of them again", || async {
        scene.receiver.calls().len() >= 3
    })
    .await;
    let bad = submit(scene, &client, named("bad-", 1, 2)).await;
    client.until_status(&bad, "failed").await;
    dead_letters(scene, &client, &bad).await;
    let cancelled = submit(scene, &client, document(1, 50)).await;
    let body = json!({ "reason": "enough" });
    let said = post(&client, &format!("/valuation/{cancelled}/cancel"), &body).await;
    assert!(
        said.status.is_success() || said.status == StatusCode::CONFLICT,
        "{}",
        said.body
    );
    for path in [
        "/valuations".to_owned(),
        format!("/valuation/{large}/tasks"),
        format!("/valuation/{large}/tasks/0/1"),
        format!("/valuation/{small}/status"),
        "/dead-letters".to_owned(),
    ] {
        let answer = client.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
    let events = client.call(Method::GET, &format!("/valuation/{small}/events"));
    let events = client
        .send(events.header("accept", "text/event-stream"))
        .await;
    assert!(events.body.contains("succeeded"), "{}", events.body);
    for program in scene.roles.values() {
        program.admin().get("/metrics").await;
    }
    tools(scene, &small, &bad).await;
    let feed = scene.world.jetstream().await.get_stream("LIFECYCLE").await;
    let feed = feed.unwrap();
    until("the events of the tenant are in the feed", || async {
        let at = "tenants.red.lifecycle.succeeded.*";
        feed.get_last_raw_message_by_subject(at).await.is_ok()
    })
    .await;
}

/// Has dead letters listed, shown, discarded, put back and redriven.
async fn dead_letters(scene: &Scene, client: &Client, bad: &str) {
    let letters = || async {
        let page = client.get("/dead-letters").await.json();
        let all = page["deadLetters"].as_array().cloned().unwrap_or_default();
        let complete = all.iter().all(|letter| letter["sequence"].is_u64());
        (all.len() == 2 && complete).then_some(all)
    };
    let all = until_some("both tasks are given up", letters).await;
    let id = all[0]["id"].as_str().unwrap().to_owned();
    let shown = client.get(&format!("/dead-letters/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK);
    let said = post(
        client,
        &format!("/valuation/{bad}/redrive"),
        &json!({ "reason": "again" }),
    )
    .await;
    assert!(said.status.is_success(), "{}", said.body);
    client.until_status(bad, "succeeded").await;
    // What nobody can read becomes a dead letter too, and is put back from there.
    let jetstream = scene.world.jetstream().await;
    for subject in [
        format!("reports.1.{bad}.0.1"),
        format!("tasks.default.1.{bad}.0.9"),
    ] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Fanfold-Stored", "nonsense");
        let sent = jetstream.publish_with_headers(subject, headers, "nonsense".into());
        sent.await.unwrap().await.unwrap();
    }
    let unread = || async {
        let page = client.get("/dead-letters?type=unreadable").await.json();
        page["deadLetters"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    };
    until("both are set aside", unread).await;
    let body = json!({ "reason": "again", "type": "unreadable" });
    let said = post(client, "/dead-letters/redrive", &body).await;
    assert!(said.status.is_success(), "{}", said.body);
    until("both are set aside again", unread).await;
    let body = json!({ "reason": "no" });
    let said = post(client, "/dead-letters/discard", &body).await;
    assert!(said.status.is_success(), "{}", said.body);
}

/// The commands of people.
async fn tools(scene: &Scene, small: &str, bad: &str) {
    let bundle = scene.world.folder().join("bundle").display().to_string();
    let commands: [&[&str]; 17] = [
        &["requests", "stuck"],
        &["dead-letters", "list"],
        &["deployment"],
        &["config"],
        &["replay", "show", small],
        &["replay", "why", small],
        &["replay", "state", small],
        &["replay", "task", bad, "0", "1"],
        &["replay", "summary"],
        &["replay", "search", "--status", "succeeded"],
        &["replay", "verify", "--all"],
        &["replay", "export", small, "-o", &bundle],
        &[
            "replay", "fork", bad, "--at", "-0s", "--reason", "again", "--yes",
        ],
        &["replay", "rebuild", "--reason", "x", "--yes"],
        &["replay", "tail", "--since", "1h", "--no-follow"],
        &["dead-letters", "discard", "--all", "--reason", "x"],
        &["redrive", small, "--reason", "x"],
    ];
    let mut failed = Vec::new();
    for command in commands {
        if let Err(said) = scene.fanfold("operator", command).await {
            failed.push(said);
        }
    }
    // A request that has succeeded cannot be redriven. Every other command succeeds.
    failed.retain(|said| !said.contains("\"redrive\""));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
