use std::collections::BTreeMap;

use domain::request::{Event, Payload, Received, Sequence};
use harness::World;
use nats::{Deliveries, Log, LogReader, Options, Topology};

use super::*;
use crate::readiness::oldest_unprojected;

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
        traceparent: None,
        submitter: "tests".into(),
        idempotency_key: None,
    }))
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
