//! Old requests: whether a request costs more if the log holds many ended ones.

use std::time::Instant;

use domain::document::{Document, Limits};
use domain::request::{
    AttemptNumber, Event, GroupIndex, GroupOutline, GroupStarted, Payload, Received, RequestId,
    Sequence, Succeeded, TaskNumber, TaskSucceeded,
};
use futures::{StreamExt, TryStreamExt};
use harness::World;
use jiff::Timestamp;
use nats::{Connection, Log, Options, Topology};

/// How many requests are written at once.
const AT_ONCE: usize = 1_000;

/// Writes this many ended requests into the log of a world.
pub async fn fill(world: &World, requests: usize) {
    let connection = Connection::open(&Options::new(world.nats_url(), "old")).await;
    let connection = connection.unwrap();
    Topology::default().declare(&connection).await.unwrap();
    let log = Log::new(connection, 1);
    let begun = Instant::now();
    let events = ended();
    futures::stream::iter(0..requests)
        .map(|_| async {
            let id = RequestId::new(uuid::Uuid::now_v7());
            let appended = log.append(id, Sequence::NONE, &events).await;
            log.forget(id);
            appended
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .unwrap();
    eprintln!("{requests} old requests in {:?}", begun.elapsed());
}

/// Waits until the program has processed the log that it found.
pub async fn until_caught_up(world: &World) {
    let begun = Instant::now();
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let mut shown = Instant::now();
    loop {
        let mut left = 0;
        for consumer in ["orchestrator", "projector"] {
            let info = log.consumer_info(consumer).await.unwrap();
            left = left.max(info.num_pending + info.num_ack_pending as u64);
        }
        if left == 0 {
            break;
        }
        if shown.elapsed().as_secs() >= 10 {
            eprintln!("{left} commits are still to be worked through");
            shown = Instant::now();
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    eprintln!("caught up in {:?}", begun.elapsed());
}

/// The events of a small request that succeeded.
fn ended() -> Vec<Event> {
    let document =
        "<vnml><project><group name=\"g\"><valuation name=\"v\"/></group></project></vnml>";
    let parsed = Document::accept(document.as_bytes(), &Limits::default()).unwrap();
    vec![
        Event::Received(Box::new(Received {
            document: Payload::from(document),
            fingerprint: nats::sha256_of(|take| parsed.canonical_pieces(take)),
            groups: vec![GroupOutline {
                name: Some("g".to_owned()),
                valuations: 1,
            }],
            metadata: [].into(),
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            tracestate: None,
            submitter: "old".into(),
            idempotency_key: None,
        })),
        Event::GroupStarted(GroupStarted {
            group: GroupIndex::FIRST,
            name: Some("g".to_owned()),
            tasks: 1,
            deadline: Timestamp::now(),
        }),
        Event::TaskSucceeded(TaskSucceeded {
            given: None,
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
            attempt: AttemptNumber::FIRST,
            worker: "old".into(),
            started_at: Timestamp::now(),
            duration_ms: 1,
            result: Payload::from(document),
        }),
        Event::GroupCompleted {
            group: GroupIndex::FIRST,
        },
        Event::Succeeded(Succeeded {
            response: Payload::from(document),
        }),
    ]
}
