//! The machine-readable contracts against the running system.

use std::collections::{BTreeMap, BTreeSet};

use domain::feed;
use domain::request::{EventKind, RequestId};
use futures::StreamExt;
use harness::{Client, Reply, Valuer, World, result_of, until_some};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{document, up};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

async fn code(client: &Client, method: Method, path: &str) -> (StatusCode, String, String) {
    let answer = client.send(client.call(method, path)).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    (answer.status, code, answer.header("allow").to_owned())
}

#[tokio::test]
async fn openapi_describes_every_route_and_no_other() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let document = client.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 10, "{paths:?}");
    for (path, item) in paths {
        let real = path
            .replace("{id}", "01a20d07-ceb0-71d2-8a80-d677f6148452")
            .replace("{group}", "0")
            .replace("{task}", "1")
            .replace("{file}", "failed.v1.json");
        let said: BTreeSet<String> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect();
        for method in METHODS {
            let (status, code, allow) = code(&client, method.clone(), &real).await;
            if said.iter().any(|said| said == method.as_str()) {
                assert_ne!(code, "unknown-route", "{method} {path}");
                assert_ne!(code, "wrong-method", "{method} {path}");
            } else {
                assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                let allowed = allow.split(',').filter(|allowed| *allowed != "HEAD");
                let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
                assert_eq!(allowed, said, "{method} {path}");
            }
        }
    }
    let page = client.get("/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    let assets = page
        .body
        .split(['"', '\''])
        .filter(|part| part.strip_suffix(".js").is_some());
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} comes from elsewhere");
        let loaded = client
            .get(&format!("/docs/{}", asset.trim_start_matches("./")))
            .await;
        assert_eq!(loaded.status, StatusCode::OK, "{asset}");
    }
}

/// Reads a value as its type, and fails if the type has other fields than the value.
fn read<T: DeserializeOwned + Serialize>(data: &Value) {
    let typed: T = serde_json::from_value(data.clone()).unwrap_or_else(|e| panic!("{e}: {data}"));
    assert_eq!(&serde_json::to_value(typed).unwrap(), data);
}

fn check(event: &str, data: &Value) {
    match event {
        "received" => read::<feed::Received>(data),
        "group-started" => read::<feed::GroupStarted>(data),
        "task-failed" => read::<feed::TaskFailed>(data),
        "group-completed" => read::<feed::GroupCompleted>(data),
        "succeeded" => read::<feed::Succeeded>(data),
        "failed" => read::<feed::Failed>(data),
        other => panic!("an event {other}"),
    }
}

#[tokio::test]
async fn every_event_on_the_feed_matches_its_schema() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 3 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    for tasks in [2, 3] {
        client.submit(&document(2, tasks), "sync=Y").await;
    }
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("LIFECYCLE").await.unwrap();
    // received, 2 × (started, completed), succeeded; received, started, task-failed, failed
    until_some("the feed has all", || async {
        let info = stream.get_info().await.unwrap();
        (info.state.messages == 10).then_some(())
    })
    .await;
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages: Vec<_> = consumer.messages().await.unwrap().take(10).collect().await;
    let mut names = BTreeMap::<String, usize>::new();
    for message in messages {
        let message = message.unwrap();
        let headers = message.headers.clone().unwrap();
        let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
        let mut subject = message.subject.split('.');
        let (_, event, partition) = (
            subject.next(),
            subject.next().unwrap(),
            subject.next().unwrap(),
        );
        let id = header("ce-subject");
        let request: RequestId = id.parse().unwrap();
        assert_eq!(partition, request.partition().to_string());
        assert_eq!(header("ce-specversion"), "1.0");
        assert_eq!(header("ce-type"), format!("fanfold.request.{event}.v1"));
        assert_eq!(header("ce-id"), header("Nats-Msg-Id"));
        assert!(header("ce-id").starts_with(&format!("{id}:{}:", header("ce-sequence"))));
        header("ce-time").parse::<jiff::Timestamp>().unwrap();
        let data: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(data["requestId"], id);
        check(event, &data);
        let schema = client.get(&header("ce-dataschema")).await;
        assert_eq!(schema.header("content-type"), "application/schema+json");
        let kind = EventKind::of_name(event).unwrap();
        assert_eq!(schema.json(), feed::schema(kind));
        *names.entry(event.to_owned()).or_default() += 1;
    }
    assert_eq!(names["received"], 2);
    assert_eq!((names["succeeded"], names["failed"]), (1, 1));
    assert_eq!(client.get("/asyncapi.json").await.json(), feed::asyncapi());
}
