use std::collections::BTreeSet;

use domain::feed::CloudEvent;
use domain::request::{Cancelled, Event, GroupIndex, Recorded, Sequence};
use futures::StreamExt;
use harness::World;
use jiff::Timestamp;
use nats::{DeadLetters, Error, Feed, FeedReader, Filter, Letter, Topology};

use crate::{connect, new_id};

/// More events than one batch holds.
const EVENTS: u64 = 2_500;

fn events(from: u64, to: u64) -> Vec<Recorded<&'static Event>> {
    const EVENT: Event = Event::GroupCompleted {
        group: GroupIndex::FIRST,
    };
    let request = new_id();
    let event = |sequence: u64| Recorded {
        request,
        sequence: Sequence::new(sequence),
        index: 0,
        at: Timestamp::UNIX_EPOCH,
        traceparent: None,
        event: &EVENT,
    };
    (from..to).map(event).collect()
}

/// The ids of the events in the feed, in its order.
async fn ids(world: &World) -> Vec<String> {
    let jetstream = world.jetstream().await;
    let feed = jetstream.get_stream("LIFECYCLE").await.unwrap();
    let messages = feed.cached_info().state.messages;
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let consumer = feed.create_consumer(config).await.unwrap();
    let messages = consumer
        .messages()
        .await
        .unwrap()
        .take(usize::try_from(messages).unwrap());
    let id = |message: async_nats::jetstream::Message| {
        message
            .headers
            .as_ref()
            .unwrap()
            .get("ce-id")
            .unwrap()
            .to_string()
    };
    messages.map(|message| id(message.unwrap())).collect().await
}

#[tokio::test]
async fn events_are_in_the_feed_in_their_order_and_those_sent_again_once() {
    for sync in ["always", "100ms"] {
        let world = World::own_that_syncs(sync).await;
        let mut feed = Feed::new(connect(world.nats_url(), &Topology::default()).await);
        let all = events(1, EVENTS + 1);
        // The first few show the cost of a message, and so decide how the others are published.
        for to in [1, 10, 100, all.len()] {
            feed.publish(&all[..to]).await.unwrap();
        }
        feed.publish(&all[all.len() - 10..]).await.unwrap();
        let wanted: Vec<String> = all.iter().map(|event| CloudEvent::of(event).id).collect();
        assert_eq!(ids(&world).await, wanted, "with sync_interval {sync}");
    }
}

#[tokio::test]
async fn concurrent_publishers_each_get_their_own_acks() {
    let world = World::start().await;
    let publish = |size: u64| {
        let url = world.nats_url().to_owned();
        tokio::spawn(async move {
            let mut feed = Feed::new(connect(&url, &Topology::default()).await);
            for _ in 0..50 {
                feed.publish(&events(1, 1 + size)).await.unwrap();
            }
        })
    };
    let publishing = [1, 1, 2, 2, 90, 90].map(publish);
    for published in publishing {
        published.await.unwrap();
    }
    let found = ids(&world).await;
    let distinct: BTreeSet<&String> = found.iter().collect();
    let sent = 50 * (1 + 1 + 2 + 2 + 90 + 90);
    assert_eq!((found.len(), distinct.len()), (sent, sent));
}

#[tokio::test]
async fn a_batch_that_is_refused_is_an_error_and_the_next_is_not() {
    let world = World::own().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let mut feed = Feed::new(connection);
    feed.publish(&events(1, 10)).await.unwrap();
    let jetstream = world.jetstream().await;
    jetstream.delete_stream("LIFECYCLE").await.unwrap();
    let refused = feed.publish(&events(1, 10)).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    connect(world.nats_url(), &Topology::default()).await;
    feed.publish(&events(1, 10)).await.unwrap();
    assert_eq!(ids(&world).await.len(), 9);
}

#[tokio::test]
async fn an_event_that_the_feed_never_accepts_becomes_a_dead_letter_and_the_others_are_published() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("LIFECYCLE").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_message_size = 2_000;
    jetstream.update_stream(config).await.unwrap();
    let large = Event::Cancelled(Cancelled {
        by: "tests".into(),
        on_behalf_of: None,
        reason: "r".repeat(3_000),
    });
    let mut all = events(1, 101);
    all[50].event = &large;
    let request = all[50].request;
    let mut feed = Feed::new(connection.clone());
    // Both ways: singly, and as batches once the cost of a message is known.
    feed.publish(&all[..10]).await.unwrap();
    feed.publish(&all).await.unwrap();
    let published = ids(&world).await;
    assert_eq!(published.len(), 99);
    let letters = DeadLetters::new(connection);
    let page = letters.page(&Filter::default(), 0, 10).await.unwrap();
    let [kept] = page.letters.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!(kept.id, format!("unreadable.{request}.requests.51"));
    let Letter::Unread(unread) = &kept.letter else {
        panic!("{kept:?}")
    };
    assert!(unread.subject.starts_with("lifecycle.cancelled."));
    assert_eq!(unread.headers["ce-id"], format!("{request}:51:0"));
}

#[tokio::test]
async fn a_deleted_consumer_of_the_feed_is_made_again_and_leaves_no_event_out() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let wait = std::time::Duration::from_mins(1);
    let open = async || {
        let reader = FeedReader::open(&connection, "reader", &["group-completed"], wait);
        reader.await.unwrap()
    };
    let mut reader = open().await;
    let mut feed = Feed::new(connection.clone());
    feed.publish(&events(1, 3)).await.unwrap();
    for _ in 1..3 {
        reader.next().await.ack_sync().await.unwrap();
    }
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("LIFECYCLE").await.unwrap();
    stream.delete_consumer("reader").await.unwrap();
    feed.publish(&events(3, 5)).await.unwrap();
    let mut missing = BTreeSet::from(["3".to_owned(), "4".to_owned()]);
    while !missing.is_empty() {
        let event = reader.next().await;
        missing.remove(event.header("ce-sequence").unwrap());
        event.ack_sync().await.unwrap();
    }
    // The consumer begins elsewhere than the first one, and is opened as it is.
    drop(reader);
    let mut reader = open().await;
    feed.publish(&events(5, 6)).await.unwrap();
    assert_eq!(reader.next().await.header("ce-sequence"), Some("5"));
}
