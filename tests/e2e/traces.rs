//! The traces of requests, as a collector has them.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Answer, Client, CollectedSpan, Collector, Reply, Valuer, World, result_of, until};
use reqwest::Method;

use crate::{document, fanfold, post, up};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The settings of a program that sends traces to this collector.
fn to(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("FANFOLD_TEST_TRACE_RETRY_LONGEST_MS", "200"),
    ]
}

/// Submits a document in a trace of the caller, who records it or not.
async fn submit(client: &Client, document: String, flags: &str) -> Answer {
    let call = client.call(Method::POST, "/valuation");
    let call = call
        .header("content-type", "application/xml")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .header("tracestate", "rojo=1")
        .header("tracestate", "congo=2");
    client.send(call.body(document)).await
}

fn children<'a>(spans: &'a [CollectedSpan], parent: &CollectedSpan) -> Vec<&'a CollectedSpan> {
    spans
        .iter()
        .filter(|span| span.parent == parent.id)
        .collect()
}

/// Waits for so many runs of a request, and returns all spans that have arrived with them.
async fn arrived(collector: &Collector, request: &str, runs: usize) -> Vec<CollectedSpan> {
    until("the trace arrives", || async {
        collector.runs(request).len() == runs
    })
    .await;
    collector.spans()
}

#[tokio::test]
async fn one_trace_has_the_caller_the_request_its_groups_its_attempts_and_what_the_executor_adds() {
    let world = World::start().await;
    let valuer = Valuer::busy_at_first(|task| task == 2).await;
    let collector = Collector::start().await;
    let url = collector.url();
    let mut settings = to(&url);
    settings.push(("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc"));
    settings.push((
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=test",
    ));
    let program = up(&world, &valuer, &settings).await;
    let id = submit(&program.client(), document(2, 2), "01").await.id();
    let spans = arrived(&collector, &id, 1).await;

    assert!(
        spans
            .iter()
            .all(|span| span.trace == TRACE && span.state == "rojo=1,congo=2")
    );
    let root = &collector.runs(&id)[0];
    assert_eq!(
        (root.name.as_str(), root.parent.as_str()),
        ("valuation", CALLER)
    );
    assert_eq!(root.of("fanfold.request.status"), "succeeded");
    let groups = children(&spans, root);
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["group g0", "group g1"]);
    for group in groups {
        let attempts = children(&spans, group);
        let mut tasks: Vec<_> = attempts
            .iter()
            .map(|span| {
                (
                    span.of("fanfold.task"),
                    span.of("fanfold.attempt"),
                    span.error.as_deref(),
                )
            })
            .collect();
        tasks.sort_unstable();
        let busy = tasks[1].2;
        assert_eq!(
            tasks,
            [("1", "1", None), ("2", "1", busy), ("2", "2", None)]
        );
        assert!(busy.is_some());
        for span in attempts {
            assert!(group.time.0 <= span.time.0 && span.time.1 <= group.time.1);
        }
    }
    assert_eq!(spans.len(), 1 + 2 + 6);
    // What an executor records hangs under the span of the very attempt that called it.
    let calls = valuer.calls();
    assert_eq!(calls.len(), 6);
    for call in calls {
        let position = call.traceparent.unwrap();
        let parts: Vec<&str> = position.split('-').collect();
        assert_eq!((parts[1], parts[3]), (TRACE, "01"));
        assert_eq!(call.tracestate.as_deref(), Some("rojo=1,congo=2"));
        let span = spans.iter().find(|span| span.id == parts[2]).unwrap();
        let of = ["fanfold.group", "fanfold.task", "fanfold.attempt"]
            .map(|name| span.of(name).to_owned());
        assert_eq!(
            of,
            [call.group, call.task, call.attempt].map(|number| number.to_string())
        );
    }
    let posted = &collector.posts()[0];
    assert_eq!(posted.headers["authorization"], "Bearer abc");
    assert_eq!(posted.headers["content-type"], "application/x-protobuf");
    assert_eq!(spans[0].service["service.name"], "fanfold");
    assert_eq!(spans[0].service["deployment.environment.name"], "test");
}

#[tokio::test]
async fn a_request_without_a_trace_has_one_of_its_own_and_a_redrive_adds_a_run_to_it() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 2 && call.attempt == 1 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let collector = Collector::start().await;
    let program = up(&world, &valuer, &to(&collector.url())).await;
    let client = program.client();
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "failed").await;
    let first = arrived(&collector, &id, 1).await;
    assert!(first.iter().all(|span| span.trace == id.replace('-', "")));
    assert_eq!(first[0].error.as_deref(), Some("tasks-failed"));

    let reason = serde_json::json!({ "reason": "the curve is there" });
    post(&client, &format!("/valuation/{id}/redrive"), &reason).await;
    client.until_status(&id, "succeeded").await;
    let both = arrived(&collector, &id, 2).await;
    let second = &collector.runs(&id)[1];
    assert_eq!(second.links, [first[0].id.clone()]);
    assert_eq!(
        (second.of("fanfold.run"), second.error.as_deref()),
        ("1", None)
    );
    let ids: BTreeSet<&str> = both.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), both.len(), "each span is there once");
    let last = valuer.calls().pop().unwrap().traceparent.unwrap();
    let attempt = both.iter().find(|span| last.contains(&span.id)).unwrap();
    assert_eq!(
        (attempt.of("fanfold.task"), attempt.of("fanfold.attempt")),
        ("2", "2")
    );
}

#[tokio::test]
async fn sampling_is_decided_at_the_end_and_told_to_executors_from_the_beginning() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.document.contains("broken") {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let collector = Collector::start().await;
    let url = collector.url();
    let mut settings = to(&url);
    settings.push(("OTEL_TRACES_SAMPLER_ARG", "0"));
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let broken = || document(1, 1).replace("name=\"m\"", "name=\"broken\"");
    let quiet = client.submit(&document(1, 1), "").await.id();
    let refused = submit(&client, document(1, 1), "00").await.id();
    let recorded = submit(&client, document(1, 1), "01").await.id();
    for id in [&quiet, &refused, &recorded] {
        client.until_status(id, "succeeded").await;
    }
    let failed = client.submit(&broken(), "").await.id();
    client.until_status(&failed, "failed").await;
    let apart = submit(&client, broken(), "00").await.id();
    client.until_status(&apart, "failed").await;
    // The ends are read in their order, so that nothing of the first ones can follow.
    arrived(&collector, &apart, 1).await;

    let runs = |id: &str| collector.runs(id);
    assert_eq!((runs(&quiet).len(), runs(&refused).len()), (0, 0));
    assert_eq!(runs(&recorded)[0].trace, TRACE);
    assert_eq!(runs(&failed)[0].trace, failed.replace('-', ""));
    let apart = &runs(&apart)[0];
    assert_ne!(apart.trace, TRACE);
    assert_eq!(apart.links, [CALLER]);
    for call in valuer.calls() {
        let sampled = call.traceparent.unwrap().ends_with("-01");
        assert_eq!(sampled, call.request == recorded, "{}", call.request);
    }
}

#[tokio::test]
async fn a_collector_that_is_away_for_a_while_gets_every_trace_once_when_it_is_back() {
    const EACH: usize = 100;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let collector = Collector::start().await;
    let (url, port) = (collector.url(), collector.port());
    let mut settings = to(&url);
    // The ends in hand are held for longer than the broker waits without a sign of life.
    settings.push(("ACK_WAIT_MS", "1000"));
    let mut program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let submit = async || {
        let mut ids = BTreeSet::new();
        for _ in 0..EACH {
            ids.insert(client.submit(&document(1, 1), "").await.id());
        }
        for id in &ids {
            client.until_status(id, "succeeded").await;
        }
        ids
    };
    let before = submit().await;
    until("the first ones are there", || async {
        collector.spans().len() == 3 * EACH
    })
    .await;
    let first = collector.spans();
    drop(collector);
    let mut away = submit().await;
    until("it is told of", || async {
        program.log().contains("the collector takes no traces")
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    // What waits is in the feed, not in the process.
    program.kill().await;
    program.restart().await;
    away.extend(submit().await);

    let collector = Collector::answering(port, |_| 200).await;
    until("all of them are there", || async {
        collector.spans().len() >= 6 * EACH
    })
    .await;
    let runs = |spans: &[CollectedSpan]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.name == "valuation") {
            *counts
                .entry(span.of("fanfold.request.id").to_owned())
                .or_default() += 1;
        }
        counts
    };
    let expected = |ids: &BTreeSet<String>| {
        ids.iter()
            .map(|id| (id.clone(), 1))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(runs(&first), expected(&before));
    assert_eq!(runs(&collector.spans()), expected(&away));
    until("the collector is told of again", || async {
        program.log().contains("the collector takes traces again")
    })
    .await;
}

#[tokio::test]
async fn a_trace_that_the_collector_refuses_is_left_out_and_keeps_back_no_other() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let is_bad = |span: &CollectedSpan| span.of("fanfold.tasks") == "3";
    let collector = Collector::answering(0, move |post| {
        if post.spans.iter().any(is_bad) {
            400
        } else {
            200
        }
    })
    .await;
    let program = up(&world, &valuer, &to(&collector.url())).await;
    let client = program.client();
    let mut good = Vec::new();
    let bad = client.submit(&document(1, 3), "").await.id();
    for _ in 0..20 {
        good.push(client.submit(&document(1, 1), "").await.id());
    }
    open.send_replace(true);
    client.until_status(&bad, "succeeded").await;
    for id in &good {
        arrived(&collector, id, 1).await;
    }
    until("it is told of", || async {
        let log = program.log();
        let mut told = log.lines().filter(|line| line.contains("refuses a trace"));
        told.any(|line| line.contains(&bad))
    })
    .await;
    assert!(collector.runs(&bad).is_empty());
}

#[tokio::test]
async fn posts_are_bounded_and_a_trace_that_is_larger_is_posted_alone() {
    let world = World::start().await;
    let (valuer, open) = Valuer::held().await;
    let collector = Collector::start().await;
    let url = collector.url();
    let mut settings = to(&url);
    settings.push(("FANFOLD_TEST_TRACE_BATCH_MAX_BYTES", "5000"));
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let large = client.submit(&document(1, 40), "").await.id();
    for _ in 0..20 {
        client.submit(&document(1, 1), "").await;
    }
    open.send_replace(true);
    until("all are there", || async {
        let spans = collector.spans();
        spans.iter().filter(|span| span.name == "valuation").count() == 21
    })
    .await;
    for post in collector.posts() {
        let runs = post.spans.iter().filter(|span| span.name == "valuation");
        let runs: Vec<&str> = runs.map(|span| span.of("fanfold.request.id")).collect();
        assert!(
            post.bytes <= 5_000 || runs == [large.as_str()],
            "{runs:?}: {}",
            post.bytes
        );
    }
}

#[tokio::test]
async fn ten_thousand_tasks_are_a_trace_of_at_most_1010_spans_whose_groups_tell_of_all() {
    const TASKS: usize = 5_000;
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let collector = Collector::start().await;
    let url = collector.url();
    let mut settings = to(&url);
    settings.push(("EXECUTOR", "noop"));
    settings.push(("WORKER_CONCURRENCY", "256"));
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let id = client.submit(&document(2, TASKS), "").await.id();
    client.until_status(&id, "succeeded").await;
    let spans = arrived(&collector, &id, 1).await;
    assert_eq!(spans.len(), 1_003);
    let root = &collector.runs(&id)[0];
    assert_eq!(
        (root.of("fanfold.tasks"), root.of("fanfold.groups")),
        ("10000", "2")
    );
    for group in children(&spans, root) {
        assert_eq!(group.of("fanfold.tasks.succeeded"), TASKS.to_string());
        let attempts = children(&spans, group);
        assert!(attempts.len() > 400);
        assert!(
            attempts
                .iter()
                .all(|span| span.of("fanfold.sample.of") == group.of("fanfold.attempts"))
        );
    }
}

#[tokio::test]
async fn without_a_collector_there_is_no_consumer_and_executors_get_what_the_submitter_gave() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = submit(&client, document(1, 1), "01").await.id();
    client.until_status(&id, "succeeded").await;
    let call = valuer.calls().pop().unwrap();
    assert_eq!(call.traceparent, Some(format!("00-{TRACE}-{CALLER}-01")));
    assert_eq!(call.tracestate.as_deref(), Some("rojo=1,congo=2"));
    let feed = world
        .jetstream()
        .await
        .get_stream("LIFECYCLE")
        .await
        .unwrap();
    assert!(feed.consumer_info("tracer").await.is_err());
    let said = fanfold(&world, &["tracer"]).await;
    assert!(
        !said.ok && said.err.contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{}",
        said.err
    );
}
