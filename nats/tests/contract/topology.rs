use harness::World;
use nats::{Connection, Error, Follower, Options, Topology};
use std::time::Duration;

use crate::connect;

#[tokio::test]
async fn declaring_twice_changes_nothing_and_another_configuration_is_named() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    Topology::default().declare(&connection).await.unwrap();
    let other = Topology {
        log_age: Duration::from_mins(1),
        ..Topology::default()
    };
    let error = other.declare(&connection).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Unsuitable(_)), "{text}");
    assert!(
        text.contains("REQUESTS_0") && text.contains("max_age is 604800s, wanted 60s"),
        "{text}"
    );
}

#[tokio::test]
async fn a_log_of_before_is_taken_over_and_tells_what_is_stored() {
    let world = World::start().await;
    connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let mut before = log.cached_info().config.clone();
    before.republish = None;
    jetstream.update_stream(before).await.unwrap();

    let connection = connect(world.nats_url(), &Topology::default()).await;
    let mut follower = Follower::open(&connection, 1).await.unwrap();
    let id = crate::new_id();
    let log = crate::log(world.nats_url(), &Topology::default()).await;
    log.append(id, 0, &[crate::received("a")]).await.unwrap();
    let notice = follower.next().await.unwrap().expect("nothing was missed");
    assert_eq!(notice.request, id);
}

#[tokio::test]
async fn a_feed_of_before_is_taken_over() {
    let world = World::own().await;
    connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    let feed = jetstream.get_stream("LIFECYCLE").await.unwrap();
    let mut before = feed.cached_info().config.clone();
    before.allow_batch_publish = false;
    jetstream.update_stream(before).await.unwrap();
    connect(world.nats_url(), &Topology::default()).await;
    let feed = jetstream.get_stream("LIFECYCLE").await.unwrap();
    assert!(feed.cached_info().config.allow_batch_publish);
}

#[tokio::test]
async fn eight_shards_hold_every_partition_between_them() {
    let world = World::start().await;
    let topology = Topology {
        shards: 8,
        ..Topology::default()
    };
    let log = crate::log(world.nats_url(), &topology).await;
    for n in 0..100 {
        let id = crate::new_id();
        log.append(id, 0, &[crate::received(&n.to_string())])
            .await
            .unwrap();
        assert!(log.last(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_with_what_to_do() {
    let error = Connection::open(&Options::new("nats://127.0.0.1:1", "x"))
        .await
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("nats://127.0.0.1:1") && text.contains("NATS_URL"),
        "{text}"
    );
}
