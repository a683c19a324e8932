//! The submitter's trace is in everything that happens to the request.

use harness::{Answer, Client, Receiver, Valuer, World, until};
use reqwest::Method;

use crate::{document, fanfold, up};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn submit(client: &Client, traceparents: &[&str], labels: &[(&str, &str)]) -> Answer {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header("content-type", "application/xml");
    let traces = traceparents.iter().map(|value| ("traceparent", *value));
    let headers = traces.chain(labels.iter().copied());
    let call = headers.fold(call, |call, (name, value)| call.header(name, value));
    client.send(call.body(document(2, 2))).await
}

/// The values of a header in the messages of a stream about the request.
async fn headers(world: &World, stream: &str, request: &str) -> Vec<Option<String>> {
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream(stream).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut found = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let about = message.headers.get("ce-subject");
        let named = about.is_some_and(|about| about.as_str() == request);
        if named || message.subject.contains(request) {
            let header = message.headers.get("traceparent");
            found.push(header.map(ToString::to_string));
        }
    }
    found
}

#[tokio::test]
async fn a_trace_is_in_the_log_the_feed_the_history_the_tasks_and_the_webhook() {
    let world = World::start().await;
    let valuer = Valuer::busy_at_first(|task| task == 2).await;
    let receiver = Receiver::start(&[]).await;
    let settings = [
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = submit(&client, &[TRACEPARENT], &[("x-callback", receiver.url())])
        .await
        .id();
    client.until_status(&id, "succeeded").await;
    until("the callback is told", || async {
        !receiver.calls().is_empty()
    })
    .await;

    let given = || Some(TRACEPARENT.to_owned());
    for (stream, at_least) in [("REQUESTS_0", 3), ("LIFECYCLE", 8)] {
        let headers = headers(&world, stream, &id).await;
        assert!(headers.len() >= at_least, "{stream}: {headers:?}");
        assert!(headers.iter().all(|header| *header == given()), "{stream}");
    }
    let events = client.get(&format!("/valuation/{id}/events")).await.json();
    let events = events["events"].as_array().unwrap();
    assert!(events.iter().all(|e| e["traceparent"] == TRACEPARENT));
    let calls = valuer.calls();
    assert_eq!(calls.len(), 6, "two of four tasks are tried twice");
    assert!(calls.iter().all(|call| call.traceparent == given()));
    assert_eq!(receiver.calls()[0].headers["traceparent"], TRACEPARENT);
    assert!(exported(&world, &id, &[]).await.contains(TRACEPARENT));
    assert!(
        !exported(&world, &id, &["--redact"])
            .await
            .contains(TRACEPARENT)
    );
}

/// The lines of a bundle with the request.
async fn exported(world: &World, id: &str, how: &[&str]) -> String {
    let file = world.folder().join("bundle.fanfold");
    let export = ["replay", "export", "-o", file.to_str().unwrap(), id];
    let said = fanfold(world, &[&export[..], how].concat()).await;
    assert!(said.ok, "{}", said.err);
    let packed = std::fs::read(file).unwrap();
    String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap()
}

#[tokio::test]
async fn a_submission_with_an_invalid_traceparent_is_accepted_without_one() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    for traceparents in [&["00-not-a-trace"][..], &[TRACEPARENT, TRACEPARENT], &[]] {
        let id = submit(&client, traceparents, &[]).await.id();
        // From `received` to `succeeded`, with the start and the end of both groups.
        until("the feed has its six events", || async {
            headers(&world, "LIFECYCLE", &id).await.len() == 6
        })
        .await;
        let headers = headers(&world, "LIFECYCLE", &id).await;
        assert!(headers.iter().all(Option::is_none), "{traceparents:?}");
    }
    assert!(valuer.calls().iter().all(|call| call.traceparent.is_none()));
}
