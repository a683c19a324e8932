//! The facts of a deployment: stored once, and applied to the streams and consumers.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use harness::{NatsCluster, World};
use nats::{Connection, Error, Options, Topology};

use crate::connect;

fn facts(value: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("SHARDS".to_owned(), value.to_string())])
}

/// Stores facts many times at once. One attempt succeeds, and every instance reads its facts.
async fn of_many_one_stores(url: &str, replicas: usize) {
    let topology = Topology {
        replicas,
        ..Topology::default()
    };
    let connection = Connection::open(&Options::new(url, "contract"))
        .await
        .unwrap();
    assert!(connection.facts().await.unwrap().facts.is_empty());
    harness::until("the stream is there", || async {
        topology.declare_facts(&connection).await.is_ok()
    })
    .await;
    assert!(!connection.has_log().await.unwrap(), "nothing else is made");
    let all: Vec<_> = (1..=8).map(facts).collect();
    let storing = all.iter().map(|facts| connection.store_facts(facts, 0));
    let stored = join_all(storing).await;
    let first = stored.iter().filter(|stored| stored.is_ok()).count();
    assert!(first <= 1, "{stored:?}");
    for other in stored.iter().filter_map(|stored| stored.as_ref().err()) {
        assert!(matches!(other, Error::Conflict), "{other}");
    }
    // With replicas, the broker may refuse any of them because another one is in flight.
    harness::until("one is stored", || async {
        let again = connection.store_facts(&facts(1), 0).await;
        assert!(matches!(again, Ok(_) | Err(Error::Conflict)));
        !connection.facts().await.unwrap().facts.is_empty()
    })
    .await;
    let found = connection.facts().await.unwrap();
    assert!(all.contains(&found.facts));
    let changed = connection.store_facts(&facts(9), found.sequence).await;
    assert!(changed.unwrap() > found.sequence);
    let late = connection.store_facts(&facts(10), found.sequence).await;
    assert!(matches!(late, Err(Error::Conflict)), "{late:?}");
    assert_eq!(connection.facts().await.unwrap().facts, facts(9));
}

#[tokio::test]
async fn of_many_first_facts_one_is_stored() {
    let world = World::start().await;
    of_many_one_stores(world.nats_url(), 1).await;
}

#[tokio::test]
async fn of_many_first_facts_one_is_stored_on_replicas() {
    let cluster = NatsCluster::start().await;
    of_many_one_stores(&cluster.url(), 3).await;
}

#[tokio::test]
async fn existing_streams_are_updated_to_changed_facts_and_declared_with_them() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let mut own = log.cached_info().config.clone();
    own.description = Some("an operator's own".into());
    jetstream.update_stream(own).await.unwrap();
    let secs = Duration::from_secs;
    let changed = Topology {
        log_age: secs(20),
        tasks_max_bytes: 1 << 20,
        task_lease: secs(45),
        ack_wait: secs(7),
        takeover_after: secs(3),
        task_types: vec!["bonds".into(), "default".into()],
        ..Topology::default()
    };
    let updated = changed.apply(&connection).await.unwrap();
    for stream in ["REQUESTS_0", "LIFECYCLE", "QUARANTINE", "TASKS"] {
        let named = format!("stream {stream}");
        assert!(updated.contains(&named), "{named}: {updated:?}");
    }
    assert!(changed.apply(&connection).await.unwrap().is_empty());
    changed.declare(&connection).await.unwrap();
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let config = &log.cached_info().config;
    assert_eq!(config.max_age, secs(20));
    assert_eq!(config.description.as_deref(), Some("an operator's own"));
    let reader = log.consumer_info("orchestrator").await.unwrap().config;
    assert_eq!(
        (reader.ack_wait, reader.priority_timeout),
        (secs(7), secs(3))
    );
    let tasks = jetstream.get_stream("TASKS").await.unwrap();
    for worker in ["worker-bonds", "worker-default"] {
        let worker = tasks.consumer_info(worker).await.unwrap();
        assert_eq!(worker.config.ack_wait, secs(45));
    }
    let forever = Topology {
        log_age: Duration::ZERO,
        ..changed
    };
    forever.apply(&connection).await.unwrap();
    forever.declare(&connection).await.unwrap();
}

#[tokio::test]
async fn a_log_is_spread_over_more_servers_and_over_fewer() {
    let cluster = NatsCluster::start().await;
    let connection = connect(&cluster.url(), &Topology::default()).await;
    for replicas in [3, 1] {
        let topology = Topology {
            replicas,
            ..Topology::default()
        };
        let updated = topology.apply(&connection).await.unwrap();
        for stream in ["REQUESTS_0", "TASKS", "DEPLOYMENT", "OBJ_PAYLOADS"] {
            let named = format!("stream {stream}");
            assert!(updated.contains(&named), "{named}: {updated:?}");
        }
        harness::until("it can be declared", || async {
            topology.declare(&connection).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_topology_that_the_broker_does_not_support_is_an_error() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let three = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let said = three.apply(&connection).await.unwrap_err();
    assert!(matches!(said, Error::Unsuitable(_)), "{said}");
}
