//! Processes that check streams and consumers, and may not create them.

use std::time::Duration;

use futures::TryStreamExt as _;
use harness::World;
use nats::{Connection, Creates, Error, Options, Topology};

use crate::connect;

async fn open(world: &World, creates: Creates) -> Connection {
    let options = Options::new(world.nats_url(), "contract");
    Connection::open(&Options { creates, ..options })
        .await
        .unwrap()
}

async fn differences(world: &World, topology: &Topology) -> String {
    let connection = open(world, Creates::Queues).await;
    let error = topology.declare(&connection).await.unwrap_err();
    assert!(matches!(error, Error::Unsuitable(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn one_error_names_all_that_is_missing_and_nothing_but_the_queues_is_made() {
    let world = World::start().await;
    let topology = Topology {
        webhooks: true,
        traces: true,
        ..Topology::default()
    };
    let text = differences(&world, &topology).await;
    for missing in [
        "stream REQUESTS_0 is missing",
        "stream OBJ_PAYLOADS is missing",
        "stream WEBHOOKS is missing",
        "consumer projector of REQUESTS_0 is missing",
        "consumer webhooks of LIFECYCLE is missing",
        "consumer tracer of LIFECYCLE is missing",
        "fanfold topology apply",
    ] {
        assert!(text.contains(missing), "'{missing}' is not in: {text}");
    }
    let jetstream = world.jetstream().await;
    let mut made: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    made.sort();
    assert_eq!(made, ["REPORTS", "TASKS"]);
    connect(world.nats_url(), &topology).await;
    for creates in [Creates::Queues, Creates::Nothing] {
        topology
            .declare(&open(&world, creates).await)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_difference_is_named_with_both_values_and_is_left_as_it_is() {
    let world = World::start().await;
    connect(world.nats_url(), &Topology::default()).await;
    let other = Topology {
        log_age: Duration::from_hours(1),
        ack_wait: Duration::from_secs(20),
        task_types: vec!["default".into()],
        ..Topology::default()
    };
    let text = differences(&world, &other).await;
    for named in [
        "stream REQUESTS_0: max_age is 604800s, wanted 3600s",
        "consumer orchestrator of REQUESTS_0: ack_wait is 10s, wanted 20s",
    ] {
        assert!(text.contains(named), "'{named}' is not in: {text}");
    }
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let consumer = log.consumer_info("orchestrator").await.unwrap();
    assert_eq!(consumer.config.ack_wait, Duration::from_secs(10));
}

#[tokio::test]
async fn queues_that_were_lost_with_a_server_are_made_again_by_who_may_and_awaited_by_others() {
    let world = World::start().await;
    let topology = Topology::default();
    connect(world.nats_url(), &topology).await;
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("TASKS").await.unwrap();
    let (waits, makes) = (
        open(&world, Creates::Nothing).await,
        open(&world, Creates::Queues).await,
    );
    let (waited, made) = tokio::join!(topology.declare(&waits), async {
        tokio::task::yield_now().await;
        topology.declare(&makes).await
    });
    made.unwrap();
    waited.unwrap();
}
