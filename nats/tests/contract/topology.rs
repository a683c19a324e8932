use async_nats::jetstream::{Context, stream};
use domain::request::Sequence;
use harness::{NatsCluster, World};
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

/// The retention of payloads in the object store.
async fn payload_age(jetstream: &Context) -> Duration {
    let store = jetstream.get_stream("OBJ_PAYLOADS").await.unwrap();
    store.cached_info().config.max_age
}

/// The instruction in the error about a changed setting.
async fn edit(jetstream: &Context, streams: &[&str], change: impl Fn(&mut stream::Config)) {
    for name in streams {
        let stream = jetstream.get_stream(*name).await.unwrap();
        let mut config = stream.cached_info().config.clone();
        change(&mut config);
        jetstream.update_stream(config).await.unwrap();
    }
}

#[tokio::test]
async fn payloads_outlive_a_log_that_is_kept_for_longer_than_before() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    let two_days = Duration::from_hours(48);
    assert_eq!(
        payload_age(&jetstream).await,
        Topology::default().log_age + two_days
    );

    let month = Duration::from_hours(24 * 30);
    // A log with a shorter age may still have older events; an age of zero means forever.
    for (log_age, kept) in [
        (month, month + two_days),
        (two_days, month + two_days),
        (Duration::ZERO, Duration::ZERO),
        (month, Duration::ZERO),
    ] {
        let streams = ["REQUESTS_0", "LIFECYCLE", "QUARANTINE"];
        edit(&jetstream, &streams, |config| config.max_age = log_age).await;
        let topology = Topology {
            log_age,
            ..Topology::default()
        };
        topology.declare(&connection).await.unwrap();
        assert_eq!(payload_age(&jetstream).await, kept, "{log_age:?}");
    }
}

#[tokio::test]
async fn payloads_of_a_log_that_is_kept_for_ever_are_kept_for_ever() {
    let world = World::start().await;
    let topology = Topology {
        log_age: Duration::ZERO,
        ..Topology::default()
    };
    connect(world.nats_url(), &topology).await;
    assert!(payload_age(&world.jetstream().await).await.is_zero());
}

#[tokio::test]
async fn payloads_on_fewer_servers_than_the_log_are_named() {
    let cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let connection = connect(&cluster.url(), &topology).await;
    let url = cluster.url();
    let client = async_nats::connect(url.split(',').next().unwrap()).await;
    let jetstream = async_nats::jetstream::new(client.unwrap());
    let store = jetstream.get_stream("OBJ_PAYLOADS").await.unwrap();
    let asks_any_replica = store.cached_info().config.allow_direct;
    assert!(!asks_any_replica, "one may be behind");
    edit(&jetstream, &["OBJ_PAYLOADS"], |config| {
        config.num_replicas = 1;
    })
    .await;
    let error = topology.declare(&connection).await.unwrap_err().to_string();
    assert!(
        error.contains("OBJ_PAYLOADS") && error.contains("num_replicas is 1, wanted 3"),
        "{error}"
    );
}

#[tokio::test]
async fn a_log_of_an_earlier_version_is_adopted_and_its_commits_are_delivered() {
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
    log.append(id, Sequence::NONE, &[crate::received("a")])
        .await
        .unwrap();
    let notice = follower.next().await.unwrap().expect("nothing was missed");
    assert_eq!(notice.request, id);
}

#[tokio::test]
async fn a_feed_of_an_earlier_version_is_adopted() {
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
        log.append(id, Sequence::NONE, &[crate::received(&n.to_string())])
            .await
            .unwrap();
        assert!(log.last(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_error_for_an_unreachable_server_names_it_and_says_what_to_do() {
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
