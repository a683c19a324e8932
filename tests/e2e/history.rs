use futures::StreamExt;
use futures::future::join_all;
use harness::{Client, Reply, Valuer, World, canonical, result_of};
use reqwest::{Method, StatusCode};

use crate::{document, up};

/// An event stream that the test reads block by block.
struct Stream {
    bytes: futures::stream::BoxStream<'static, String>,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    id: String,
    event: String,
}

impl Stream {
    async fn open(client: &Client, id: &str, last: &str) -> Self {
        let call = client.call(Method::GET, &format!("/valuation/{id}/events"));
        let call = call.header("accept", "text/event-stream");
        let call = if last.is_empty() {
            call
        } else {
            call.header("last-event-id", last)
        };
        let response = client.http(call).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let bytes = response.bytes_stream();
        let bytes = bytes.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap());
        Self {
            bytes: bytes.boxed(),
            text: String::new(),
        }
    }

    /// The next block; `None` if the server ended the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.into();
                return Some(block);
            }
            let more = tokio::time::timeout(harness::LIMIT, self.bytes.next()).await;
            self.text.push_str(&more.expect("an event or a heartbeat")?);
        }
    }

    async fn next(&mut self) -> Option<Seen> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned())
            };
            if let (Some(id), Some(event)) = (field("id:"), field("event:")) {
                return Some(Seen { id, event });
            }
        }
    }

    async fn rest(mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Some(seen) = self.next().await {
            all.push(seen);
        }
        all
    }
}

async fn ids(client: &Client, id: &str) -> Vec<String> {
    let events = client.get(&format!("/valuation/{id}/events")).await.json();
    let events = events["events"].as_array().unwrap().clone();
    let prefix = format!("{id}:");
    events
        .iter()
        .map(|event| {
            event["id"]
                .as_str()
                .unwrap()
                .strip_prefix(&prefix)
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_live_event_stream_beats_resumes_without_a_gap_and_ends_with_the_request() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let program = up(&world, &valuer, &[("FANFOLD_TEST_SSE_HEARTBEAT_MS", "50")]).await;
    let client = program.client();
    let id = client.submit(&document(2, 3), "").await.id();

    let mut stream = Stream::open(&client, &id, "").await;
    assert_eq!(stream.next().await.unwrap().event, "received");
    let started = stream.next().await.unwrap();
    assert_eq!(started.event, "group-started");
    assert_eq!(stream.block().await.unwrap(), ": heartbeat");
    let resumed = Stream::open(&client, &id, &started.id).await;
    open.send_replace(true);
    let (rest, resumed) = tokio::join!(stream.rest(), resumed.rest());
    assert_eq!(rest, resumed, "the same events from the same place");
    assert_eq!(rest.last().unwrap().event, "succeeded");

    let all = ids(&client, &id).await;
    for from in 0..all.len() - 1 {
        let rest = Stream::open(&client, &id, &all[from]).await.rest().await;
        let rest: Vec<String> = rest.into_iter().map(|seen| seen.id).collect();
        assert_eq!(rest, all[from + 1..], "after {}", all[from]);
    }
    let call = client.call(Method::GET, &format!("/valuation/{id}/events"));
    let call = call.header("accept", "text/event-stream");
    let end = client
        .send(call.header("last-event-id", all.last().unwrap()))
        .await;
    assert_eq!(end.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_history_is_paged_and_has_every_event_once() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(2, 4), "").await.id();
    client.until_status(&id, "succeeded").await;
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = client
            .get(&format!("/valuation/{id}/events?limit=3{after}"))
            .await
            .json();
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= 3);
        paged.extend(
            events
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    let whole = ids(&client, &id).await;
    assert_eq!(
        paged,
        whole
            .iter()
            .map(|place| format!("{id}:{place}"))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        whole.len(),
        14,
        "received, 2 × (started, 4 results, completed), succeeded"
    );
    let refused = client.get(&format!("/valuation/{id}/events?after=x")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tasks_are_listed_with_their_attempts_and_shown_with_their_documents() {
    let world = World::start().await;
    let valuer = Valuer::busy_at_first(|task| task == 2).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(2, 3), "").await.id();
    client.until_status(&id, "succeeded").await;

    let page = client
        .get(&format!("/valuation/{id}/tasks?limit=4"))
        .await
        .json();
    assert_eq!(page["tasks"].as_array().unwrap().len(), 4);
    let next = page["next"].as_str().unwrap();
    let rest = client
        .get(&format!("/valuation/{id}/tasks?after={next}"))
        .await
        .json();
    assert_eq!(rest["tasks"].as_array().unwrap().len(), 2);
    assert!(rest["next"].is_null());
    let second = &page["tasks"][1];
    assert_eq!(second["status"], "succeeded");
    assert_eq!(second["attempts"].as_array().unwrap().len(), 2);
    assert!(second["attempts"][0]["fault"]["code"].is_string());
    assert!(second["attempts"][1]["fault"].is_null());

    let calls = valuer.calls();
    let shown = calls.iter().map(|call| {
        client.get(&format!(
            "/valuation/{id}/tasks/{}/{}",
            call.group, call.task
        ))
    });
    for (call, shown) in calls.iter().zip(join_all(shown).await) {
        let shown = shown.json();
        let document = shown["document"].as_str().unwrap();
        assert_eq!(document, call.document, "what the worker was given");
        let result = shown["result"].as_str().unwrap();
        assert_eq!(canonical(result), canonical(&result_of(call)));
    }
    let unknown = client.get(&format!("/valuation/{id}/tasks/0/4")).await;
    assert_eq!(unknown.json()["code"], "unknown-task");
}

#[tokio::test]
async fn partial_results_have_the_finished_groups_and_say_so() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.group == 1 {
            std::future::pending::<()>().await;
        }
        Reply::Result(result_of(&call))
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(2, 2), "").await.id();
    harness::until("the second group runs", || async {
        client.status(&id).await.json()["currentGroup"] == 1
    })
    .await;
    assert_eq!(client.results(&id).await.status, StatusCode::NOT_FOUND);
    let partial = client
        .get(&format!("/valuation/{id}/results?partial=true"))
        .await;
    assert_eq!(partial.status, StatusCode::OK);
    assert_eq!(partial.header("fanfold-incomplete"), "true");
    assert_eq!(partial.header("cache-control"), "no-store");
    assert!(
        partial.body.contains("<vnml incomplete=\"true\">"),
        "{}",
        partial.body
    );
    assert!(partial.body.contains("102.00") && !partial.body.contains("name=\"g1\""));
}
