use domain::request::Sequence;
use std::time::Duration;

use harness::World;
use nats::{Follower, Log, Topology};

use crate::{connect, log, new_id, received};

/// The time limit for a notice of a commit, or of a gap.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_commit_of_every_shard_is_delivered_with_its_events() {
    let world = World::start().await;
    let topology = Topology {
        shards: 4,
        ..Topology::default()
    };
    let connection = connect(world.nats_url(), &topology).await;
    let log = Log::new(connection.clone(), topology.shards);
    let mut follower = Follower::open(&connection, topology.shards).await.unwrap();
    for _ in 0..16 {
        let id = new_id();
        let sequence = log
            .append(id, Sequence::NONE, &[received("a")])
            .await
            .unwrap();
        let notice = follower.next().await.unwrap().expect("nothing was missed");
        assert_eq!((notice.request, notice.sequence), (id, sequence));
        assert!(!notice.terminal);
        let commit = notice.commit().unwrap();
        assert_eq!(commit, log.last(id).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_commit_stored_while_the_connection_is_lost_is_delivered_or_reported_as_missed() {
    let mut world = World::own().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let mut follower = Follower::open(&connection, 1).await.unwrap();
    world.kill_nats().await;
    world.restart_nats().await;
    // The other connection may be there before the follower's is back, or after.
    let other = log(world.nats_url(), &Topology::default()).await;
    other
        .append(new_id(), Sequence::NONE, &[received("a")])
        .await
        .unwrap();
    let told = tokio::time::timeout(TOLD_WITHIN, follower.next()).await;
    let told = told.expect("whoever waits would wait for ever").unwrap();
    assert!(told.is_none_or(|notice| notice.sequence == Sequence::new(1)));
}
