use std::collections::BTreeMap;

use domain::request::{
    Event, Failed, Failure, GroupIndex, GroupStarted, Payload, Received, STUCK_AFTER, Sequence,
};
use harness::World;
use nats::{Deliveries, Log, LogReader, Options, Topology};

use super::*;
use crate::readiness::oldest_unprojected;

const AN_HOUR: Duration = Duration::from_hours(1);

async fn connect(world: &World) -> Connection {
    let options = Options::new(world.nats_url(), "tests");
    let connection = Connection::open(&options).await.unwrap();
    Topology::default().declare(&connection).await.unwrap();
    connection
}

fn new_id() -> RequestId {
    RequestId::new(uuid::Uuid::now_v7())
}

fn received() -> Event {
    Event::Received(Box::new(Received {
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: Vec::new(),
        metadata: BTreeMap::new(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    }))
}

fn failed() -> Event {
    let failure = Failure {
        code: "unreadable".into(),
        message: "it is".into(),
        group: None,
        tasks: Vec::new(),
        task_count: None,
        truncated: false,
        redrive_may_help: false,
    };
    Event::Failed(Failed { failure })
}

fn started_long_ago() -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: None,
        tasks: 1,
        deadline: Timestamp::UNIX_EPOCH,
    })
}

#[tokio::test]
async fn a_scan_reads_no_more_than_its_limit_and_the_next_one_continues() {
    let world = World::start().await;
    let connection = connect(&world).await;
    let log = Log::new(connection.clone(), 1);
    // As many commits as two queries read, and one more.
    let commits = 2 * SCAN_CHUNK + 1;
    for _ in 0..commits {
        log.append(new_id(), Sequence::NONE, &[received()])
            .await
            .unwrap();
    }
    let watch = StuckWatch::of_open(connection, 1, AN_HOUR);
    let limit = Limit {
        time: AN_HOUR,
        commits: SCAN_CHUNK,
    };
    for (open, complete) in [
        (SCAN_CHUNK, false),
        (2 * SCAN_CHUNK, false),
        (commits, true),
    ] {
        let look = watch.look(STUCK_AFTER, Some(limit)).await.unwrap();
        assert_eq!((look.open, look.incomplete == 0), (open, complete));
    }
    let look = watch.look(STUCK_AFTER, Some(limit)).await.unwrap();
    assert_eq!(look.incomplete, 0, "there is no more");
    assert_eq!(StuckWatch::stuck(&watch, AN_HOUR).await.unwrap(), []);
}

#[tokio::test]
async fn a_request_that_has_ended_is_not_open_and_a_short_look_says_whether_it_saw_the_end() {
    let world = World::start().await;
    let connection = connect(&world).await;
    let log = Log::new(connection.clone(), 1);
    let id = new_id();
    let last = log
        .append(id, Sequence::NONE, &[received(), started_long_ago()])
        .await;
    log.append(id, last.unwrap(), &[failed()]).await.unwrap();
    let watch = StuckWatch::of_open(connection, 1, AN_HOUR);
    let open = watch.open(STUCK_AFTER).await.unwrap();
    assert_eq!((open.count, open.is_complete), (0, true));
    watch.shards[0].lock().await.looked = Instant::now().checked_add(AN_HOUR);
    watch.shards[0].lock().await.complete = false;
    let open = watch.open(STUCK_AFTER).await.unwrap();
    assert!(!open.is_complete);
}

#[tokio::test]
async fn the_oldest_commit_that_is_not_projected_is_the_first_that_is_not_acked() {
    let mut world = World::own().await;
    let connection = connect(&world).await;
    let log = Log::new(connection.clone(), 1);
    let waited = oldest_unprojected(&connection, None, 1).await;
    assert_eq!(waited, Some(Duration::ZERO), "nothing waits");
    for _ in 0..3 {
        log.append(new_id(), Sequence::NONE, &[received()])
            .await
            .unwrap();
    }
    let mut deliveries = Deliveries::of_log(&connection, 0, LogReader::Projector)
        .await
        .unwrap();
    let mut all = Vec::new();
    while all.len() < 3 {
        all.extend(deliveries.next().await.unwrap());
    }
    for (acked, delivery) in all.iter().enumerate() {
        let at = delivery.place().unwrap().stored_at;
        let oldest = connection
            .oldest_unacked(0, LogReader::Projector)
            .await
            .unwrap();
        assert_eq!(oldest, Some(at), "{acked} are acked");
        delivery.ack_sync().await.unwrap();
    }
    let oldest = connection
        .oldest_unacked(0, LogReader::Projector)
        .await
        .unwrap();
    assert_eq!(oldest, None);
    world.kill_nats().await;
    let unknown = oldest_unprojected(&connection, None, 1).await;
    assert_eq!(unknown, None, "the broker is away");
}
