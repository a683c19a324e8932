use domain::request::{
    AttemptNumber, GroupIndex, Outcome, Payload, Report, Run, TaskId, TaskNumber, Verdict,
};
use harness::{Signal, World};
use jiff::Timestamp;
use nats::{
    Attempts, Deliveries, Pull, PullOptions, Reports, Stored, StoredReport, Tasks, Topology,
};
use std::time::Duration;

use crate::{ORIGIN, connect, new_id};

fn task() -> TaskId {
    TaskId {
        request: new_id(),
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
    }
}

#[tokio::test]
async fn a_task_that_is_still_there_is_not_sent_twice() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let tasks = Tasks::new(connection.clone());
    let (id, document) = (task(), Payload::from("<vnml/>"));
    let send = || async {
        let sent = tasks.send("default", id, Attempts::default(), &document, &ORIGIN);
        sent.await.unwrap()
    };
    assert_eq!(send().await, Stored::Now);
    assert_eq!(send().await, Stored::Already);

    let mut pull = Pull::open(
        &connection,
        "default",
        PullOptions {
            concurrency: 4,
            lease: std::time::Duration::from_secs(30),
        },
    )
    .await
    .unwrap();
    pull.ask().await.unwrap();
    let Some(Ok(delivered)) = pull.next().await else {
        panic!("no task")
    };
    assert_eq!(
        (delivered.id, delivered.attempt),
        (id, AttemptNumber::FIRST)
    );
    assert_eq!(delivered.document, document);
    assert_eq!(
        send().await,
        Stored::Already,
        "it is still there while it runs"
    );
    delivered.delivery.ack_sync().await.unwrap();
    assert_eq!(send().await, Stored::Now, "it was done");
}

#[tokio::test]
async fn the_attempt_is_the_brokers_delivery_count_on_top_of_earlier_runs() {
    let world = World::start().await;
    let topology = Topology {
        task_lease: Duration::from_millis(300),
        ..Topology::default()
    };
    let connection = connect(world.nats_url(), &topology).await;
    let tasks = Tasks::new(connection.clone());
    let attempts = Attempts {
        run: Run::FIRST,
        before: AttemptNumber::new(3),
        earlier: AttemptNumber::new(3),
        again: false,
    };
    tasks
        .send("default", task(), attempts, &Payload::from("x"), &ORIGIN)
        .await
        .unwrap();
    let mut pull = Pull::open(
        &connection,
        "default",
        PullOptions {
            concurrency: 1,
            lease: std::time::Duration::from_secs(30),
        },
    )
    .await
    .unwrap();
    for attempt in [4, 5, 6] {
        pull.ask().await.unwrap();
        let Some(Ok(delivered)) = pull.next().await else {
            panic!("no task")
        };
        assert_eq!(
            (delivered.attempt, delivered.earlier_attempts),
            (AttemptNumber::new(attempt), AttemptNumber::new(3))
        );
        pull.release(1);
        if attempt == 4 {
            delivered
                .delivery
                .nak(Duration::from_millis(20))
                .await
                .unwrap();
        }
        // The fifth is dropped without an answer, as by a worker that died. Its lease ends.
    }
}

#[tokio::test]
async fn reports_are_kept_until_they_are_acked_and_come_again_when_they_are_not() {
    let world = World::start().await;
    let topology = Topology {
        ack_wait: Duration::from_millis(300),
        ..Topology::default()
    };
    let connection = connect(world.nats_url(), &topology).await;
    let id = task();
    let outcome = Outcome {
        run: None,
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        given: None,
        checked: false,
        exhausted: false,
        verdict: Verdict::Succeeded(Payload::from("<r/>")),
    };
    Reports::new(connection.clone())
        .outcome(id.request, outcome.clone(), false)
        .await
        .unwrap();
    let mut reports = Deliveries::of_reports(&connection, 0).await.unwrap();
    for delivered in [1, 2] {
        let chunk = reports.next().await.unwrap();
        let report = chunk
            .into_iter()
            .next()
            .map(|d| StoredReport::parse(d).ok().unwrap())
            .unwrap();
        assert_eq!(report.request, id.request);
        assert_eq!(report.reports, [Report::Outcome(outcome.clone())]);
        assert_eq!(report.delivery.place().unwrap().delivered, delivered);
        if delivered == 2 {
            report.delivery.ack_sync().await.unwrap();
        }
    }
    let mut stream = world.jetstream().await.get_stream("REPORTS").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 0);
}

#[tokio::test]
async fn a_worker_requests_no_more_than_it_has_room_for_from_a_stalled_broker() {
    let mut world = World::own().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let options = PullOptions {
        concurrency: 4,
        lease: std::time::Duration::from_secs(30),
    };
    let mut pull = Pull::open(&connection, "default", options).await.unwrap();
    pull.ask().await.unwrap();

    world.signal_nats(Signal::STOP);
    // Twice the interval at which the worker checks whether to request more tasks.
    let silent = tokio::time::timeout(Duration::from_secs(6), pull.next()).await;
    assert!(silent.is_err());
    world.signal_nats(Signal::CONT);

    let tasks = Tasks::new(connection.clone());
    for number in 0..12 {
        let (id, document) = (
            TaskId {
                task: TaskNumber::new(number),
                ..task()
            },
            Payload::from("<vnml/>"),
        );
        let sent = tasks.send("default", id, Attempts::default(), &document, &ORIGIN);
        sent.await.unwrap();
    }
    let mut delivered = 0;
    while let Ok(Some(Ok(_))) = tokio::time::timeout(Duration::from_secs(1), pull.next()).await {
        delivered += 1;
    }
    assert_eq!(delivered, options.concurrency);

    pull.release(4);
    pull.ask().await.unwrap();
    assert!(matches!(pull.next().await, Some(Ok(_))), "it goes on");
}
