use harness::{Client, Program, Reply, Valuer, World, result_of, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{document, fanfold, history, post, telling, up};

/// Submits three requests with one task each. Each fails permanently with its own code.
async fn failed(world: &World) -> (Program, Valuer, Vec<String>) {
    let valuer = Valuer::start(|call| async move {
        let again = call.attempt > 2;
        match (call.task, call.document.contains("mark-")) {
            (1, true) if again => Reply::Result(result_of(&call)),
            (1, true) => Reply::Status(503, "the service is away".into()),
            _ => Reply::Result(result_of(&call)),
        }
    })
    .await;
    let config = telling(world, &valuer);
    let settings = [("MAX_TASK_ATTEMPTS", "2"), ("FANFOLD_CONFIG", &config)];
    let program = up(world, &valuer, &settings).await;
    let client = program.client();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let marked = document(1, 2).replace("name=\"m\"", "name=\"mark-\"");
        ids.push(client.submit(&marked, "").await.id());
    }
    for id in &ids {
        client.until_status(id, "failed").await;
    }
    until("the letters are complete", || async {
        let all = list(&client, "").await;
        all.len() == 3 && all.iter().all(|letter| letter["sequence"].is_u64())
    })
    .await;
    (program, valuer, ids)
}

async fn list(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/dead-letters?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()["deadLetters"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_dead_letter_has_the_task_and_every_attempt() {
    let world = World::start().await;
    let (program, _valuer, ids) = failed(&world).await;
    let client = program.client();
    let id = format!("{}.0.1.0", ids[0]);
    let letter = client.get(&format!("/dead-letters/{id}")).await.json();
    assert_eq!(letter["id"], id);
    assert_eq!(
        (&letter["type"], &letter["code"]),
        (&json!("default"), &json!("http-503"))
    );
    assert_eq!(
        (&letter["group"], &letter["task"], &letter["run"]),
        (&json!(0), &json!(1), &json!(0))
    );
    let attempts = letter["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    for (attempt, number) in attempts.iter().zip([1, 2]) {
        assert_eq!(attempt["attempt"], number);
        assert!(attempt["worker"].as_str().unwrap().starts_with("worker-"));
        assert!(attempt["startedAt"].is_string() && attempt["durationMs"].is_u64());
        assert!(
            attempt["causes"]
                .to_string()
                .contains("the service is away"),
            "{attempt}"
        );
    }
    assert!(
        letter["document"]["inline"]
            .as_str()
            .unwrap()
            .contains("<valuation")
    );
    assert!(letter["keptAt"].is_string() && letter["sequence"].is_u64());

    let said = fanfold(&world, &["dead-letters", "show", &id]).await;
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(shown, letter);
    let stream = world
        .jetstream()
        .await
        .get_stream("DEAD_LETTERS")
        .await
        .unwrap();
    assert_eq!(
        stream.cached_info().config.max_age.as_secs(),
        30 * 24 * 3600
    );
}

#[tokio::test]
async fn dead_letters_are_listed_by_filters_and_in_pages_and_are_discarded() {
    let world = World::start().await;
    let (program, _valuer, ids) = failed(&world).await;
    let client = program.client();
    for (query, expected) in [
        (String::new(), 3),
        ("type=default".into(), 3),
        ("type=other".into(), 0),
        ("code=http-503".into(), 3),
        ("code=http-500".into(), 0),
        (format!("request={}", ids[1]), 1),
        ("since=1h".into(), 3),
        ("since=2999-01-01T00:00:00Z".into(), 0),
    ] {
        assert_eq!(list(&client, &query).await.len(), expected, "{query}");
    }
    let mut paged = Vec::new();
    let mut cursor = json!(0);
    while cursor.is_u64() {
        let page = client
            .get(&format!("/dead-letters?limit=2&cursor={cursor}"))
            .await
            .json();
        paged.extend(page["deadLetters"].as_array().unwrap().clone());
        cursor = page["next"].clone();
    }
    assert_eq!(paged, list(&client, "").await);
    for (query, code) in [
        ("since=yesterday", "invalid-since"),
        ("tpye=default", "invalid-filter"),
        ("type=*", "invalid-filter"),
        ("request=7", "invalid-id"),
    ] {
        let refused = client.get(&format!("/dead-letters?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.json()["code"], code, "{query}");
    }

    let one = format!("/dead-letters/{}.0.1.0", ids[0]);
    let discard = |path: &str| client.send(client.call(Method::DELETE, path));
    assert_eq!(discard(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(discard(&one).await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&one).await.json()["code"], "unknown-dead-letter");
    let body = json!({ "request": ids[1], "dryRun": true });
    let dry = post(&client, "/dead-letters/discard", &body).await.json();
    assert_eq!((&dry["done"], &dry["dryRun"]), (&json!(1), &json!(true)));
    assert_eq!(list(&client, "").await.len(), 2, "a dry run does nothing");
    let said = fanfold(&world, &["dead-letters", "discard"]).await;
    assert!(!said.ok && said.err.contains("--all"), "{}", said.err);
    let said = fanfold(&world, &["dead-letters", "discard", "--all"]).await;
    assert!(
        said.err.contains("2 dead letters: 2 discarded, 0 refused"),
        "{}",
        said.err
    );
    assert_eq!(list(&client, "").await.len(), 0);
}

#[tokio::test]
async fn the_requests_of_dead_letters_are_redriven_over_http() {
    let world = World::start().await;
    let (program, _valuer, ids) = failed(&world).await;
    let client = program.client();
    let filter =
        json!({ "code": "http-503", "request": ids[0], "reason": "it is back", "by": "anna" });
    let redriven = post(&client, "/dead-letters/redrive", &filter).await;
    assert_eq!(redriven.json()["done"], 1, "{}", redriven.body);
    client.until_status(&ids[0], "succeeded").await;
    let why = json!({ "reason": "it is back" });
    let rest = post(&client, "/dead-letters/redrive", &why).await.json();
    assert_eq!(
        (&rest["letters"], &rest["done"], &rest["refused"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(rest["next"], json!(null));
    for id in &ids {
        client.until_status(id, "succeeded").await;
    }
    let nameless = post(&client, "/dead-letters/redrive", &json!({})).await;
    assert_eq!(nameless.json()["code"], "invalid-reason");
}

#[tokio::test]
async fn a_bulk_redrive_ends_before_the_letters_of_requests_that_fail_again() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| async { Reply::Status(400, "never".into()) }).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "failed").await;
    let body = json!({ "reason": "again" });
    let first = post(&client, "/dead-letters/redrive", &body).await.json();
    assert_eq!((&first["done"], &first["next"]), (&json!(1), &json!(null)));
    until("it has failed again", || async {
        list(&client, "").await.len() == 2
    })
    .await;
    let body = json!({ "reason": "again", "until": first["until"], "dryRun": true });
    let rest = post(&client, "/dead-letters/redrive", &body).await.json();
    assert_eq!((&rest["letters"], &rest["next"]), (&json!(1), &json!(null)));
}

#[tokio::test]
async fn the_requests_of_dead_letters_are_redriven_from_the_command_line() {
    let world = World::start().await;
    let (program, _valuer, ids) = failed(&world).await;
    let client = program.client();
    let said = fanfold(
        &world,
        &["dead-letters", "list", "--type", "default", "--since", "1h"],
    )
    .await;
    assert_eq!(said.out.lines().count(), 3, "{}", said.out);
    assert_eq!(said.err, "3 dead letters\n");
    let said = fanfold(&world, &["dead-letters", "redrive", "--dry-run"]).await;
    assert_eq!(
        said.out.matches("would be redriven").count(),
        3,
        "{}",
        said.out
    );
    assert_eq!(said.err, "3 dead letters: 3 would be redriven, 0 refused\n");
    for id in &ids {
        assert!(!history(&world, id).await.contains(&"redriven".to_owned()));
    }
    let redrive = [
        "dead-letters",
        "redrive",
        "--code",
        "http-503",
        "--reason",
        "it is back",
    ];
    let said = fanfold(&world, &redrive).await;
    assert_eq!(said.err, "3 dead letters: 3 redriven, 0 refused\n");
    for id in &ids {
        client.until_status(id, "succeeded").await;
    }
    let said = fanfold(&world, &redrive).await;
    assert_eq!(said.err, "3 dead letters: 0 redriven, 3 refused\n");
}
