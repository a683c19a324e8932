use harness::{Client, Receiver, Valuer, World, until};
use reqwest::Method;
use serde_json::Value;

use crate::{document, up};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SETTINGS: [(&str, &str); 4] = [
    ("WEBHOOK_SECRET", SECRET),
    ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ("FANFOLD_TEST_WEBHOOK_RETRY_DELAY_MS", "20"),
    ("FANFOLD_TEST_WEBHOOK_ATTEMPTS", "3"),
];

async fn submit(client: &Client, callback: &str) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let call = if callback.is_empty() {
        call
    } else {
        call.header("x-callback", callback)
    };
    client.send(call.body(document(1, 1))).await.id()
}

/// The dead letters of the feed, with their reasons.
async fn set_aside(world: &World) -> Vec<String> {
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("DEAD_LETTERS").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut reasons = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        reasons.push(message.headers.get("Fanfold-Reason").unwrap().to_string());
    }
    reasons
}

#[tokio::test]
async fn a_signed_callback_about_the_end_is_retried_until_it_is_accepted() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[500, 503]).await;
    let program = up(&world, &valuer, &SETTINGS).await;
    let client = program.client();
    let id = submit(&client, receiver.url()).await;
    until("it is told three times", || async {
        receiver.calls().len() == 3
    })
    .await;

    let secret: ::webhooks::Secret = SECRET.parse().unwrap();
    for call in receiver.calls() {
        let header = |name: &str| call.headers[name].as_str();
        assert!(header("webhook-id").starts_with(&id));
        let timestamp = header("webhook-timestamp").parse().unwrap();
        let signature = secret.sign(header("webhook-id"), timestamp, &call.body);
        assert_eq!(header("webhook-signature"), signature);
        let told: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(told["type"], "fanfold.request.succeeded.v1");
        assert_eq!(told["data"]["requestId"], id);
    }
    // A submitter without a callback is not called. The next call is about another request.
    let silent = submit(&client, "").await;
    client.until_status(&silent, "succeeded").await;
    let heard = submit(&client, receiver.url()).await;
    until("the next is told", || async { receiver.calls().len() == 4 }).await;
    assert!(receiver.calls()[3].body.contains(&heard));
    assert_eq!(set_aside(&world).await.len(), 0);
}

#[tokio::test]
async fn a_callback_that_never_accepts_becomes_a_dead_letter_and_an_internal_one_is_refused() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let receiver = Receiver::start(&[500; 10]).await;
    let mut program = up(&world, &valuer, &SETTINGS).await;
    submit(&program.client(), receiver.url()).await;
    until("it is set aside", || async {
        set_aside(&world).await.len() == 1
    })
    .await;
    assert_eq!(receiver.calls().len(), 3);
    assert!(set_aside(&world).await[0].contains("after 3 attempts: it answered 500"));
    program.kill().await;

    let strict = [
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_URL", "https://169.254.169.254/latest"),
    ];
    let program = up(&world, &valuer, &strict).await;
    submit(&program.client(), "").await;
    let call = program.client().call(Method::POST, "/valuation");
    let call = call.header("content-type", "text/xml");
    let call = call.header("x-callback", receiver.url());
    let answer = program.client().send(call.body(document(1, 1))).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], "invalid-callback");
    until("the end that cannot be told is set aside", || async {
        set_aside(&world).await.len() == 2
    })
    .await;
    let reasons = set_aside(&world).await.join("\n");
    assert!(
        reasons.contains("it leads to no public address"),
        "{reasons}"
    );
    assert_eq!(receiver.calls().len(), 3);
}
