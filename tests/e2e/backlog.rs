use domain::request::{
    AttemptNumber, Event, GroupIndex, GroupOutline, GroupStarted, Outcome, Payload, Received,
    RequestId, Sequence, TaskNumber, Verdict,
};
use futures::{StreamExt, stream};
use harness::{Program, World};
use jiff::{SignedDuration, Timestamp};
use nats::{Connection, Log, Options, Reports};

use crate::document;

/// Each document has some 50 KB, so all of them together, parsed or not, exceed the memory.
const REQUESTS: usize = 5_000;
const MEMORY_MAX_KIB: u64 = 512 * 1024;
const AT_ONCE: usize = 256;

/// A request of two groups whose first task has run while no orchestrator was there.
async fn leave_waiting(log: &Log, reports: &Reports, number: usize, text: &str) {
    let id = RequestId::of_key("test", &number.to_string());
    let group = |name: &str| GroupOutline {
        name: Some(name.into()),
        valuations: 1,
    };
    let received = Event::Received(Box::new(Received {
        document: Payload::from(text),
        fingerprint: nats::sha256(text.as_bytes()),
        groups: vec![group("g0"), group("g1")],
        metadata: [].into(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "test".into(),
        idempotency_key: None,
    }));
    let started = Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: Some("g0".into()),
        tasks: 1,
        deadline: Timestamp::now() + SignedDuration::from_mins(15),
    });
    let events = [received, started];
    log.append(id, Sequence::NONE, &events).await.unwrap();
    let outcome = Outcome {
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        run: None,
        worker: "w".into(),
        started_at: Timestamp::now(),
        duration_ms: 1,
        given: None,
        checked: false,
        exhausted: false,
        verdict: Verdict::Succeeded(Payload::from(
            "<vnml><project><group><valuation name=\"v\"><a>1</a></valuation></group></project></vnml>",
        )),
    };
    reports.outcome(id, outcome, false).await.unwrap();
}

/// How many reports the orchestrator has not acked.
async fn reports_left(world: &World) -> u64 {
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("REPORTS").await.unwrap();
    let consumer = stream.consumer_info("orchestrator-0").await.unwrap();
    consumer.num_pending + consumer.num_ack_pending as u64
}

/// The most memory that a process has had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_orchestrator_that_starts_over_a_backlog_of_reports_stays_within_its_memory() {
    let world = World::own_that_syncs("100ms").await;
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let mut orchestrator = Program::start(binary, "orchestrator", &world, &[]).await;
    // It marks the queue of reports as filled. Without the mark they would be dropped.
    harness::until("the orchestrator runs", || async {
        orchestrator.log().contains("orchestrator runs")
    })
    .await;
    orchestrator.stop().await;
    let options = Options::new(world.nats_url(), "test");
    let connection = Connection::open(&options).await.unwrap();
    let log = Log::new(connection.clone(), 1);
    let reports = Reports::new(connection);
    let note = "<note>many small nodes</note>".repeat(1_900);
    let text = document(2, 1).replace("<rate>", &format!("{note}<rate>"));
    stream::iter(0..REQUESTS)
        .for_each_concurrent(AT_ONCE, |number| {
            leave_waiting(&log, &reports, number, &text)
        })
        .await;
    let before = reports_left(&world).await;
    assert_eq!(before, REQUESTS as u64);

    orchestrator.restart().await;
    let mut left = before;
    while left > 0 {
        // However slow the machine is, the backlog gets smaller.
        harness::until("reports are processed", || async {
            reports_left(&world).await < left
        })
        .await;
        left = reports_left(&world).await;
        let peak = peak_kib(orchestrator.pid());
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    }
    let log = world.jetstream().await.get_stream("REQUESTS_0").await;
    let commits = log.unwrap().cached_info().state.messages;
    assert_eq!(commits, 2 * REQUESTS as u64, "each request goes on");
}
