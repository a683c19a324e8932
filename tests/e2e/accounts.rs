//! The accounts for other people's workers and consumers, with the configuration in the documentation.

use std::time::Duration;

use async_nats::{Client as Nats, ConnectOptions, Message};
use futures::StreamExt as _;
use harness::{Program, World, priced, until};
use serde_json::{Value, json};

use crate::document;

/// The configuration in `docs/security.md`, with a user for the harness.
fn configuration() -> String {
    let text = include_str!("../../docs/security.md");
    let block = text.split("```nats\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    format!("{block}\nno_auth_user: fanfold\n")
}

async fn client(world: &World, user: &str) -> Nats {
    let options = ConnectOptions::with_user_and_password(user.into(), user.into());
    options.connect(world.nats_url()).await.unwrap()
}

/// Pulls the next message of a consumer.
async fn pull(nats: &Nats, consumer: &str) -> Message {
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{consumer}");
    loop {
        let inbox = nats.new_inbox();
        let mut answers = nats.subscribe(inbox.clone()).await.unwrap();
        let ask = json!({ "batch": 1, "expires": 2_000_000_000_u64 }).to_string();
        nats.publish_with_reply(subject.clone(), inbox, ask.into())
            .await
            .unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(4), answers.next()).await;
        // An answer with a status says that nothing was there.
        if let Ok(Some(message)) = answer
            && message.status.is_none()
        {
            return message;
        }
    }
}

#[tokio::test]
async fn a_worker_and_a_consumer_in_accounts_of_their_own_work_and_reach_nothing_else() {
    let world = World::own_configured(&configuration()).await;
    let settings = [("NATS_USER", "fanfold"), ("NATS_PASSWORD", "fanfold")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let (_orchestrator, _projector) = (start("orchestrator").await, start("projector").await);
    let api = start("api").await;
    let feed = world.jetstream().await.get_stream("LIFECYCLE").await;
    let config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("partner".into()),
        filter_subject: "lifecycle.succeeded.*".into(),
        ..Default::default()
    };
    feed.unwrap().create_consumer(config).await.unwrap();

    let id = api.client().submit(&document(1, 1), "").await.id();
    let worker = client(&world, "worker").await;
    let task = pull(&worker, "TASKS.worker-default").await;
    let parts: Vec<&str> = task.subject.split('.').collect();
    let [_, _, partition, request, group, number] = parts[..] else {
        panic!("{}", task.subject)
    };
    assert_eq!(request, id);
    let text = String::from_utf8(task.payload.to_vec()).unwrap();
    let result = priced(&text, group.parse().unwrap(), number.parse().unwrap());
    let report = json!({ "outcome": {
        "group": 0, "task": number.parse::<u32>().unwrap(), "attempt": 1, "worker": "theirs",
        "startedAt": "2026-11-29T00:00:00Z", "durationMs": 1,
        "verdict": { "succeeded": { "inline": result } },
    }});
    let to = format!("reports.{partition}.{request}.{group}.{number}");
    let stored = worker.request(to, report.to_string().into()).await.unwrap();
    let stored: Value = serde_json::from_slice(&stored.payload).unwrap();
    assert_eq!(stored["stream"], "REPORTS", "{stored}");
    let answer = task.reply.clone().unwrap();
    worker.request(answer, "+ACK".into()).await.unwrap();
    api.client().until_status(&id, "succeeded").await;
    until("the task is no longer in the queue", || async {
        crate::messages(&world, "TASKS").await == 0
    })
    .await;

    let partner = client(&world, "partner").await;
    let event = pull(&partner, "LIFECYCLE.partner").await;
    let told: Value = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!(told["requestId"], id, "{told}");
    let answer = event.reply.clone().unwrap();
    partner.request(answer, "+ACK".into()).await.unwrap();

    // What is not exported is not there, and no answer of the server lands in the log.
    let log = || async {
        let stream = world
            .jetstream()
            .await
            .get_stream("REQUESTS_0")
            .await
            .unwrap();
        stream.cached_info().state.last_sequence
    };
    let before = log().await;
    for (nats, ask) in [
        (&worker, "$JS.API.INFO"),
        (&worker, "$JS.API.CONSUMER.MSG.NEXT.TASKS.worker-default"),
        (&partner, "$JS.API.CONSUMER.MSG.NEXT.LIFECYCLE.partner"),
    ] {
        let subject = format!("requests.1.{id}");
        let body = json!({ "batch": 1, "no_wait": true }).to_string();
        nats.publish_with_reply(ask, subject, body.into())
            .await
            .unwrap();
        nats.flush().await.unwrap();
    }
    for nats in [&worker, &partner] {
        let own = format!("requests.1.{id}");
        nats.publish(own, "x".into()).await.unwrap();
        let asked = nats
            .request("$JS.API.STREAM.INFO.REQUESTS_0", "".into())
            .await;
        // The account has no JetStream of its own, and none of the main account.
        let answer = asked.map(|answer| String::from_utf8_lossy(&answer.payload).into_owned());
        let refused = answer
            .as_ref()
            .is_ok_and(|said| said.contains("not enabled"));
        assert!(refused || answer.is_err(), "{answer:?}");
    }
    assert_eq!(log().await, before);
}
