use std::collections::BTreeSet;
use std::time::Duration;

use domain::request::{
    AttemptNumber, GroupIndex, Outcome, Payload, Report, RequestId, Sequence, TaskId, TaskNumber,
    Verdict,
};
use futures::future::join_all;
use harness::{Signal, World};
use jiff::Timestamp;
use nats::{
    Attempts, Connection, Deliveries, Error, Log, Options, Reports, Stored, StoredReport, Tasks,
    Topology,
};

use crate::{ORIGIN, connect, log, new_id, received};

/// Enough writers for batches of hundreds, where batches are cheaper.
const WRITERS: u32 = 2_000;

#[tokio::test]
async fn concurrent_commits_of_many_requests_each_get_their_own_sequence() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    for round in 0..3 {
        let appending = (0..WRITERS).map(|writer| {
            let log = &log;
            let event = received(&format!("{round}/{writer}"));
            async move {
                let id = new_id();
                let sequence = log
                    .append(id, Sequence::NONE, std::slice::from_ref(&event))
                    .await;
                (id, event, sequence.unwrap())
            }
        });
        let mut places = BTreeSet::new();
        for (id, event, sequence) in join_all(appending).await {
            assert!(places.insert(sequence), "{sequence} was given twice");
            let last = log.last(id).await.unwrap().unwrap();
            assert_eq!((last.sequence, last.events), (sequence, vec![event]));
        }
    }
}

#[tokio::test]
async fn one_stale_commit_among_many_is_refused_and_affects_no_other() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let stale = new_id();
    log.append(stale, Sequence::NONE, &[received("first")])
        .await
        .unwrap();
    for _ in 0..3 {
        let answers = join_all((0..WRITERS).map(|writer| {
            let log = &log;
            let id = if writer == WRITERS / 2 {
                stale
            } else {
                new_id()
            };
            async move { log.append(id, Sequence::NONE, &[received("x")]).await }
        }));
        let answers = answers.await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
        assert!(
            matches!(refused.as_slice(), [Err(Error::Conflict)]),
            "{refused:?}"
        );
        assert_eq!(log.read(stale, Sequence::NONE).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_moment_takes_no_commit_of_others_with_it() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    // All of these tasks share one thread with this one, so each `yield_now` lets them go on to
    // their next await: the first caller goes away before its batch, within it, and after it.
    for steps in 0..16 {
        let ids: Vec<RequestId> = (0..100).map(|_| new_id()).collect();
        let mut appending: Vec<_> = ids
            .iter()
            .map(|&id| {
                let (log, event) = (log.clone(), received("x"));
                tokio::spawn(async move { log.append(id, Sequence::NONE, &[event]).await })
            })
            .collect();
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        let gone = appending.remove(0);
        gone.abort();
        let _ = gone.await;
        for (appended, &id) in appending.into_iter().zip(&ids[1..]) {
            let sequence = appended.await.unwrap();
            let sequence = sequence.unwrap_or_else(|error| panic!("{steps}: {error}"));
            let last = log.last(id).await.unwrap().unwrap();
            assert_eq!(last.sequence, sequence);
        }
    }
}

#[tokio::test]
async fn a_commit_whose_only_caller_goes_away_is_stored_before_the_process_ends_or_never() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let mut stored = 0;
    for steps in 0..20 {
        let id = new_id();
        let appending = tokio::spawn({
            let log = log.clone();
            async move { log.append(id, Sequence::NONE, &[received("x")]).await }
        });
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        appending.abort();
        let _ = appending.await;
        log.landed().await;
        let before = log.last(id).await.unwrap().is_some();
        stored += u32::from(before);
        // A message that was left behind would go with the next batch.
        let next = log.append(new_id(), Sequence::NONE, &[received("y")]).await;
        next.unwrap();
        assert_eq!(log.last(id).await.unwrap().is_some(), before, "{steps}");
    }
    assert!(0 < stored && stored < 20, "{stored} of 20 were stored");
}

#[tokio::test]
async fn a_group_of_tasks_sent_again_is_there_once() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let tasks = Tasks::new(connection);
    let request = new_id();
    let document = Payload::from("<vnml/>");
    let send = |from: u32| {
        let (tasks, document) = (&tasks, &document);
        join_all((from..from + WRITERS).map(move |task| {
            let id = TaskId {
                request,
                group: GroupIndex::FIRST,
                task: TaskNumber::new(task),
            };
            async move {
                tasks
                    .send("default", id, Attempts::default(), document, &ORIGIN)
                    .await
                    .unwrap()
            }
        }))
    };
    assert!(send(1).await.iter().all(|stored| *stored == Stored::Now));
    // Half of them are sent again, and half are new.
    let again = send(1 + WRITERS / 2).await;
    let there = again
        .iter()
        .filter(|stored| **stored == Stored::Already)
        .count();
    assert_eq!(there, WRITERS as usize / 2);
    let jetstream = world.jetstream().await;
    let queue = jetstream.get_stream("TASKS").await.unwrap();
    let messages = queue.cached_info().state.messages;
    assert_eq!(messages, u64::from(WRITERS + WRITERS / 2));
}

#[tokio::test]
async fn reports_of_many_attempts_at_once_are_all_kept_in_few_messages() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let reports = Reports::new(connection.clone());
    let request = new_id();
    let reporting = (1..=WRITERS).map(|task| {
        let outcome = Outcome {
            group: GroupIndex::FIRST,
            task: TaskNumber::new(task),
            attempt: AttemptNumber::FIRST,
            run: None,
            worker: "w".into(),
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: 1,
            given: None,
            checked: false,
            exhausted: false,
            verdict: Verdict::Succeeded(Payload::from("<r/>")),
        };
        reports.outcome(request, outcome, false)
    });
    for reported in join_all(reporting).await {
        reported.unwrap();
    }
    let (mut tasks, mut messages) = (BTreeSet::new(), 0);
    let mut deliveries = Deliveries::of_reports(&connection, 0).await.unwrap();
    while tasks.len() < WRITERS as usize {
        for delivery in deliveries.next().await.unwrap() {
            messages += 1;
            let stored = StoredReport::parse(delivery).ok().unwrap();
            assert_eq!(stored.request, request);
            for report in stored.reports {
                let Report::Outcome(outcome) = report else {
                    panic!("only outcomes were reported: {report:?}");
                };
                assert!(tasks.insert(outcome.task), "{} twice", outcome.task);
            }
        }
    }
    assert_eq!(tasks, TaskNumber::up_to(WRITERS).collect());
    assert!(messages < WRITERS / 100, "joined: {messages}");
}

/// A log with this request timeout, on a connection of its own.
async fn waiting_for(world: &World, request_timeout: Duration) -> (Connection, Log) {
    let topology = Topology::default();
    connect(world.nats_url(), &topology).await;
    let options = Options {
        request_timeout,
        ..Options::new(world.nats_url(), "waiting")
    };
    let connection = Connection::open(&options).await.unwrap();
    (connection.clone(), Log::new(connection, topology.shards))
}

async fn until_lost(connection: &Connection) {
    let lost = || async { connection.ping().await.is_err() };
    harness::until("the connection is lost", lost).await;
}

async fn until_there(connection: &Connection) {
    let there = || async { connection.ping().await.is_ok() };
    harness::until("the connection is there again", there).await;
}

#[tokio::test]
async fn a_publish_that_failed_for_a_lost_connection_is_not_retried_after_the_reconnect() {
    let mut world = World::own().await;
    let (connection, log) = waiting_for(&world, Duration::from_millis(500)).await;
    world.kill_nats().await;
    until_lost(&connection).await;

    let refused = new_id();
    let answer = log
        .append(refused, Sequence::NONE, &[received("refused")])
        .await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");

    world.restart_nats().await;
    until_there(&connection).await;
    // On one connection, later messages are stored later.
    log.append(new_id(), Sequence::NONE, &[received("taken in")])
        .await
        .unwrap();
    assert!(log.last(refused).await.unwrap().is_none());
}

#[tokio::test]
async fn a_publish_during_a_reconnect_waits_for_the_connection() {
    let mut world = World::own().await;
    let (connection, log) = waiting_for(&world, Duration::from_secs(5)).await;
    world.kill_nats().await;
    until_lost(&connection).await;
    let appending = async {
        let event = [received("patient")];
        log.append(new_id(), Sequence::NONE, &event).await
    };
    let (appended, ()) = tokio::join!(appending, world.restart_nats());
    appended.unwrap();
}

#[tokio::test]
async fn a_publish_in_flight_when_the_connection_drops_is_not_retried() {
    let mut world = World::own().await;
    let (connection, log) = waiting_for(&world, Duration::from_secs(1)).await;
    let append = |ids: Vec<RequestId>| {
        let event = received("x");
        let log = log.clone();
        let one = move |id| {
            let (log, event) = (log.clone(), event.clone());
            async move { log.append(id, Sequence::NONE, &[event]).await }
        };
        join_all(ids.into_iter().map(one))
    };
    let ids = || (0..100).map(|_| new_id()).collect::<Vec<_>>();
    // By then the connection knows the cost of a message, and that a batch is cheaper.
    for _ in 0..3 {
        append(ids()).await;
    }
    world.signal_nats(Signal::STOP);
    let lost = ids();
    // The messages are then in invisible kernel buffers, and are lost with them.
    let killing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.kill_nats().await;
    };
    let (answers, ()) = tokio::join!(append(lost.clone()), killing);
    assert!(answers.iter().all(Result::is_err), "{answers:?}");

    world.restart_nats().await;
    until_there(&connection).await;
    append(ids())
        .await
        .into_iter()
        .for_each(|a| assert!(a.is_ok()));
    for id in lost {
        assert!(log.last(id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_broker_that_sends_no_heartbeat_is_considered_lost() {
    let mut world = World::own().await;
    let options = Options {
        ping_interval: Duration::from_millis(100),
        ..Options::new(world.nats_url(), "anxious")
    };
    let connection = Connection::open(&options).await.unwrap();
    world.signal_nats(Signal::STOP);
    // A query would take as long as its timeout. This one returns at once.
    harness::until("the loss is noticed", || async {
        let asked = std::time::Instant::now();
        connection.ping().await.is_err() && asked.elapsed() < Duration::from_secs(1)
    })
    .await;
    world.signal_nats(Signal::CONT);
    until_there(&connection).await;
}
