use futures::future::join_all;
use harness::{Answer, Client, Reply, Valuer, World, result_of};
use reqwest::{Method, StatusCode};

use crate::{document, up};

async fn post(client: &Client, key: &str, document: &str, query: &str) -> Answer {
    let call = client.call(Method::POST, &format!("/valuation?{query}"));
    let call = call
        .header("content-type", "application/xml")
        .header("idempotency-key", key);
    client.send(call.body(document.to_owned())).await
}

#[tokio::test]
async fn a_key_names_one_request_and_another_document_under_it_is_refused() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();

    let first = post(&client, "\"order-66\"", &document(1, 2), "").await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!(first.header("idempotency-replayed"), "");
    client.until_status(&first.id(), "succeeded").await;

    // Indentation does not make another document.
    let again = document(1, 2).replace("<project>", "<project>\n  ");
    let second = post(&client, "order-66", &again, "").await;
    assert_eq!(second.status, StatusCode::ACCEPTED);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.body, first.body);

    let joined = post(&client, "order-66", &document(1, 2), "sync=Y").await;
    assert_eq!(joined.status, StatusCode::OK);
    assert_eq!(joined.header("idempotency-replayed"), "true");
    assert!(joined.body.contains("102.00"), "{}", joined.body);

    let other = post(&client, "order-66", &document(1, 3), "").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json()["code"], "idempotency-key-reused");
    assert_eq!(other.id(), first.id());
    assert_eq!(valuer.calls().len(), 2);

    for malformed in ["", "\"a", &"k".repeat(256)] {
        let refused = post(&client, malformed, &document(1, 2), "").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{malformed}");
        assert_eq!(refused.json()["code"], "invalid-idempotency-key");
    }
}

#[tokio::test]
async fn a_key_outlives_redis_and_a_restart() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let mut program = up(&world, &valuer, &[]).await;
    let first = post(&program.client(), "k", &document(1, 1), "sync=Y").await;
    world.flush_redis().await;
    program.kill().await;
    program.restart().await;
    let again = post(&program.client(), "k", &document(1, 1), "sync=Y").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body, first.body);
    assert_eq!(valuer.calls().len(), 1);
}

#[tokio::test]
async fn a_thousand_posts_of_one_key_are_one_request_one_execution_and_equal_answers() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move { Reply::Result(result_of(&call)) }).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let document = document(1, 1);
    let posts = (0..1_000).map(|_| post(&client, "same", &document, ""));
    let answers = join_all(posts).await;
    let id = answers[0].id();
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.body, answers[0].body);
    }
    let first = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(first.count(), 1);
    client.until_status(&id, "succeeded").await;
    assert_eq!(valuer.calls().len(), 1);
    let listed = client.get("/valuations").await.json();
    assert_eq!(listed["valuations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_hundred_callers_that_wait_under_one_key_all_get_its_outcome() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let document = document(2, 2);
    let posts = (0..100).map(|_| post(&client, "same", &document, "sync=Y"));
    let answers = join_all(posts).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(valuer.calls().len(), 4);
}
