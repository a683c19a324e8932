//! Brokers and accounts with limits: the error about insufficient limits comes before anything is
//! created.

use domain::request::Sequence;
use futures::TryStreamExt;
use harness::World;
use nats::{Connection, Error, FeedReader, Options, Topology};

use crate::{connect, log, new_id, received};

/// Starts a broker whose only account has these limits.
async fn limited(limits: &str) -> World {
    World::own_configured(&format!(
        "accounts {{ F {{ jetstream: {{ {limits} }}, users: [{{ user: f, password: f }}] }} }}\n\
         no_auth_user: f\n"
    ))
    .await
}

/// The error of a declaration that created nothing.
async fn refused(world: &World, topology: &Topology) -> String {
    let options = Options::new(world.nats_url(), "contract");
    let connection = Connection::open(&options).await.unwrap();
    let error = topology.declare(&connection).await.unwrap_err();
    assert!(matches!(error, Error::Unsuitable(_)), "{error}");
    assert!(!error.is_transient());
    let jetstream = world.jetstream().await;
    let made: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    assert!(made.is_empty(), "{made:?} are there, and {error}");
    error.to_string()
}

fn says(text: &str, all: &[&str]) {
    for said in all {
        assert!(text.contains(said), "'{said}' is not in: {text}");
    }
}

#[tokio::test]
async fn a_broker_with_a_small_message_limit_is_refused_with_the_setting_to_change() {
    let world = World::own_configured("max_payload: 64KB\n").await;
    let text = refused(&world, &Topology::default()).await;
    says(&text, &["65536", "1048576", "max_payload"]);
}

#[tokio::test]
async fn a_broker_of_the_default_or_of_larger_messages_starts() {
    for further in ["max_payload: 1MB\n", "max_payload: 8MB\n"] {
        let world = World::own_configured(further).await;
        let options = Options::new(world.nats_url(), "contract");
        let connection = Connection::open(&options).await.unwrap();
        Topology::default().declare(&connection).await.unwrap();
        assert!(connection.max_payload() >= nats::MESSAGE_MAX_BYTES);
    }
}

#[tokio::test]
async fn one_error_names_every_limit_that_is_too_small() {
    let limits = "max_streams: 6, max_mem: 128M, max_file: 32M, max_consumers: 1, \
                  max_ack_pending: 100, memory_max_stream_bytes: 100M";
    let world = limited(limits).await;
    let text = refused(&world, &Topology::default()).await;
    let all = [
        "6 streams, has 0, and 9",
        "max_streams to 9",
        "TASKS_MAX_BYTES",
        "max_file",
        "1 consumers",
        "100 unacked",
        "memory_max_stream_bytes",
    ];
    says(&text, &all);
}

#[tokio::test]
async fn existing_streams_do_not_count_against_the_limits() {
    let world = limited("max_streams: 9, max_mem: 600M, max_file: 200M").await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    Topology::default().declare(&connection).await.unwrap();
    let two = Topology {
        shards: 2,
        ..Topology::default()
    };
    let text = two.declare(&connection).await.unwrap_err().to_string();
    says(&text, &["9 streams, has 9, and 1", "max_streams to 10"]);
}

#[tokio::test]
async fn an_account_with_a_smaller_limit_on_unacked_messages_is_used_as_it_is() {
    let world = limited("max_ack_pending: 10000").await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let reader = FeedReader::open(
        &connection,
        "reader",
        &["failed"],
        std::time::Duration::from_mins(1),
    )
    .await;
    reader.unwrap();
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let consumer = log.consumer_info("orchestrator").await.unwrap();
    assert_eq!(consumer.config.max_ack_pending, 10_000);
}

#[tokio::test]
async fn an_account_that_requires_limits_on_streams_gets_them_and_keeps_them() {
    let world = limited("max_bytes_required: true, max_mem: 1G, max_file: 2G").await;
    let topology = Topology::default();
    let options = Options::new(world.nats_url(), "contract");
    let connection = Connection::open(&options).await.unwrap();
    topology.declare(&connection).await.unwrap();
    let log = log(world.nats_url(), &topology).await;
    let id = new_id();
    log.append(id, Sequence::NONE, &[received("a")])
        .await
        .unwrap();
    topology.declare(&connection).await.unwrap();
    let jetstream = world.jetstream().await;
    let mut all = 0;
    let names: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    assert_eq!(names.len(), 9);
    for name in names {
        let stream = jetstream.get_stream(&name).await.unwrap();
        let config = &stream.cached_info().config;
        assert!(config.max_bytes > 0, "{name}");
        all += config.max_bytes;
        let kept = ["REQUESTS_0", "TASKS", "OBJ_PAYLOADS"];
        let gives_way = config.discard == async_nats::jetstream::stream::DiscardPolicy::Old;
        assert_eq!(gives_way, !kept.contains(&name.as_str()), "{name}");
    }
    assert!(all < 3 * 1024 * 1024 * 1024);
}

#[tokio::test]
async fn an_account_that_requires_limits_and_has_no_room_left_is_refused() {
    let world = limited("max_bytes_required: true").await;
    let text = refused(&world, &Topology::default()).await;
    says(&text, &["max_bytes_required", "max_file"]);
}

#[tokio::test]
async fn the_stream_of_webhooks_counts_among_those_that_must_fit() {
    let topology = Topology {
        webhooks: true,
        ..Topology::default()
    };
    let world = limited("max_streams: 9").await;
    let text = refused(&world, &topology).await;
    says(&text, &["9 streams, has 0, and 10", "max_streams to 10"]);

    let world = limited("max_bytes_required: true, max_mem: 1G, max_file: 2G").await;
    let connection = connect(world.nats_url(), &topology).await;
    topology.declare(&connection).await.unwrap();
    let jetstream = world.jetstream().await;
    let webhooks = jetstream.get_stream("WEBHOOKS").await.unwrap();
    assert!(webhooks.cached_info().config.max_bytes > 0);
}

#[tokio::test]
async fn a_domain_gets_a_log_only_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let port = servers::free_port().unwrap();
    // The later of two equal keys of the configuration holds.
    let named = |name: &str, leafnodes: &str| {
        format!(
            "server_name: {name}\njetstream {{ store_dir: \"{}\", domain: {name} }}\n\
             leafnodes {{ {leafnodes} }}\n",
            folder.path().join(name).display()
        )
    };
    let _hub = World::own_configured(&named("hub", &format!("listen: \"127.0.0.1:{port}\""))).await;
    let remote = format!("remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ]");
    let leaf = World::own_configured(&named("leaf", &remote)).await;
    let text = refused(&leaf, &Topology::default()).await;
    says(
        &text,
        &[
            "has the domain leaf",
            "NATS_DOMAIN=leaf",
            "nothing was made",
        ],
    );

    let options = Options::new(leaf.nats_url(), "contract");
    let access = nats::Access {
        domain: Some("leaf".into()),
        ..nats::Access::default()
    };
    let connection = Connection::open(&Options { access, ..options })
        .await
        .unwrap();
    Topology::default().declare(&connection).await.unwrap();
    // A log that is there already was chosen before.
    connect(leaf.nats_url(), &Topology::default()).await;
}
