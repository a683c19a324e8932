use std::future::IntoFuture;

use futures::StreamExt;
use harness::{Client, Program, Valuer, World};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw::connect;

use crate::{document, up};

/// Reads a page, and counts the queries about the request's log that the broker received meanwhile.
async fn asked(world: &World, client: &Client, path: &str) -> (Value, Vec<Value>) {
    let looking = async_nats::connect(world.nats_url()).await.unwrap();
    let asks = looking.subscribe("$JS.API.DIRECT.GET.REQUESTS_0").await;
    let mut asks = asks.unwrap();
    // A flush ends before the broker has read the messages. An answer on the same connection comes
    // after them.
    let knows = looking.request("$JS.API.INFO", "".into()).await;
    knows.unwrap();
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Earlier queries have arrived before this answer.
    looking
        .publish("$JS.API.DIRECT.GET.REQUESTS_0", "{}".into())
        .await
        .unwrap();
    let id = path.split('/').nth(2).unwrap();
    let mut seen = Vec::new();
    loop {
        let ask = tokio::time::timeout(harness::LIMIT, asks.next()).await;
        let ask: Value = serde_json::from_slice(&ask.unwrap().unwrap().payload).unwrap();
        if ask == serde_json::json!({}) {
            break;
        }
        let of = ask["next_by_subj"].as_str().unwrap_or_default();
        if of.ends_with(id) {
            seen.push(ask);
        }
    }
    (answer.json(), seen)
}

#[tokio::test]
async fn a_page_reads_only_the_entries_that_it_shows() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let mut program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(3, 5), "").await.id();
    let last = client.until_status(&id, "succeeded").await["sequence"].clone();
    // Other roles read the log of a request too. From here on none of them runs.
    assert!(program.stop().await.success());
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "api", &world, &[]).await;
    let client = program.client();
    let whole = client.get(&format!("/valuation/{id}/events")).await.json();
    let whole = whole["events"].as_array().unwrap().clone();
    assert_eq!(
        whole.last().unwrap()["type"]
            .as_str()
            .map(|t| t.contains("succeeded")),
        Some(true)
    );

    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/valuation/{id}/events?limit=2{after}");
        let (page, asked) = asked(&world, &client, &path).await;
        for ask in &asked {
            assert!(ask["batch"].as_u64().unwrap() <= 3, "{ask}");
        }
        let begins = asked[0]["seq"].as_u64().unwrap();
        let events = page["events"].as_array().unwrap().clone();
        assert!(events.len() <= 2);
        pages.extend(events);
        let Some(next) = page["next"].as_str() else {
            break;
        };
        let place: u64 = next.split(':').next().unwrap().parse().unwrap();
        assert!(begins <= place, "it goes on from {begins} to {place}");
        after = format!("&after={next}");
    }
    assert_eq!(pages, whole);

    let path = format!("/valuation/{id}/tasks?limit=4");
    let (first, asks) = asked(&world, &client, &path).await;
    assert_eq!(asks[0]["seq"], 1);
    let (again, asks) = asked(&world, &client, &path).await;
    assert_eq!(first, again);
    assert_eq!(asks.len(), 1, "{asks:?}");
    assert!(asks[0]["seq"].as_u64() > last.as_u64(), "only what is new");
    let (rest, _) = asked(
        &world,
        &client,
        &format!(
            "/valuation/{id}/tasks?limit=1000&after={}",
            first["next"].as_str().unwrap()
        ),
    )
    .await;
    let tasks = |page: &Value| page["tasks"].as_array().unwrap().clone();
    let all = [tasks(&first), tasks(&rest)].concat();
    let places = all
        .iter()
        .map(|task| (task["group"].as_u64(), task["task"].as_u64()));
    let expected = (0..3).flat_map(|group| (1..=5).map(move |task| (Some(group), Some(task))));
    assert!(places.eq(expected), "{all:?}");
    let task = client
        .get(&format!("/valuation/{id}/tasks/1/2"))
        .await
        .json();
    let result = task["result"].as_str().unwrap();
    assert_eq!(task["resultBytes"], result.len());
}

#[tokio::test]
async fn a_call_scans_a_bounded_number_of_dead_letters_and_returns_a_cursor() {
    // The test stores many dead letters and kills no server.
    let world = World::own_that_syncs("1m").await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let jetstream = world.jetstream().await;
    for first in (0..5_001).step_by(500) {
        let mut kept = Vec::new();
        for number in first..5_001.min(first + 500) {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Fanfold-Subject", "reports.x");
            headers.insert("Fanfold-Reason", "a test");
            let subject = format!("dead-letters.unreadable.none.reports.{number}");
            let published = jetstream.publish_with_headers(subject, headers, "x".into());
            kept.push(published.await.unwrap().into_future());
        }
        futures::future::try_join_all(kept).await.unwrap();
    }
    let list = |query: String| {
        let client = &client;
        async move { client.get(&format!("/dead-letters?{query}")).await.json() }
    };
    let none = list("code=nothing".into()).await;
    assert_eq!(none["deadLetters"].as_array().unwrap().len(), 0);
    assert_eq!(none["next"], 5_000, "the last that was looked at");
    let rest = list(format!("code=nothing&cursor={}", none["next"])).await;
    assert_eq!(rest["next"], Value::Null);
    let page = list("code=unreadable&limit=1000".into()).await;
    assert_eq!(page["deadLetters"].as_array().unwrap().len(), 1_000);
    assert_eq!(page["next"], 1_000);
}

#[tokio::test]
async fn one_address_reads_at_most_half_of_the_task_documents_at_once() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let notes = "n".repeat(8_000_000);
    let large = format!(
        "<vnml><project><notes>{notes}</notes><group><valuation/></group></project></vnml>"
    );
    let id = client.submit(&large, "").await.id();
    let path = format!("/valuation/{id}/tasks/0/1");
    harness::until("its task is there", || async {
        client.get(&path).await.status == 200
    })
    .await;
    let call = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let begun = async || {
        // The client stops reading, and its window is far smaller than the answer.
        let mut stream = connect(&client, 2, true).await;
        stream.write_all(call.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        (String::from_utf8(said.to_vec()).unwrap(), stream)
    };
    let mut held = Vec::new();
    for _ in 0..8 {
        let (said, stream) = begun().await;
        assert_eq!(said, "HTTP/1.1 200");
        held.push(stream);
    }
    assert_eq!(begun().await.0, "HTTP/1.1 503");
    assert_eq!(client.get(&path).await.status, 200, "another address");
    drop(held);
    harness::until("there is room again", || async {
        begun().await.0 == "HTTP/1.1 200"
    })
    .await;
    let why = serde_json::json!({ "reason": "the test is over" });
    crate::post(&client, &format!("/valuation/{id}/cancel"), &why).await;
}
