use std::collections::BTreeSet;

use domain::access::Tenant;
use domain::feed::CloudEvent;
use domain::request::{Cancelled, Event, GroupIndex, Recorded, RequestId, Sequence};
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
        tenant: domain::access::Tenant::default(),
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

/// An event of a request at a time, which is in the feed by its kind.
fn ended(request: RequestId, tenant: &Tenant, sequence: u64) -> Recorded<&'static Event> {
    const EVENT: Event = Event::GroupCompleted {
        group: GroupIndex::FIRST,
    };
    Recorded {
        request,
        sequence: Sequence::new(sequence),
        index: 0,
        at: Timestamp::now(),
        tenant: tenant.clone(),
        traceparent: None,
        event: &EVENT,
    }
}

/// A request of the same partition as another one.
fn beside(other: RequestId) -> RequestId {
    let made = std::iter::repeat_with(new_id);
    let mut beside = made.filter(|id| id.partition() == other.partition());
    beside.next().unwrap()
}

#[tokio::test]
async fn a_subject_has_the_tenant_and_the_partition_and_a_header_has_the_request() {
    let world = World::start().await;
    let mut feed = Feed::new(connect(world.nats_url(), &Topology::default()).await);
    let request = new_id();
    let partition = request.partition();
    let desk: Tenant = "desk-2".parse().unwrap();
    let events = [
        ended(request, &Tenant::default(), 1),
        ended(request, &desk, 2),
    ];
    feed.publish(&events).await.unwrap();
    let stream = world.jetstream().await.get_stream("LIFECYCLE").await;
    let stream = stream.unwrap();
    let subjects = [
        (format!("lifecycle.group-completed.{partition}"), None),
        (
            format!("tenants.desk-2.lifecycle.group-completed.{partition}"),
            Some("desk-2"),
        ),
    ];
    for (subject, tenant) in subjects {
        let found = stream.get_last_raw_message_by_subject(&subject).await;
        let headers = found.unwrap().headers;
        assert_eq!(
            headers.get("ce-subject").unwrap().as_str(),
            request.to_string()
        );
        let named = headers
            .get("ce-tenant")
            .map(|name| name.as_str().to_owned());
        assert_eq!(named.as_deref(), tenant);
    }
}

#[tokio::test]
async fn an_event_that_the_feed_lacks_is_found_among_those_of_other_requests_also_where_it_comes_late()
 {
    let world = World::start().await;
    let mut feed = Feed::new(connect(world.nats_url(), &Topology::default()).await);
    let (tenant, request) = (Tenant::default(), new_id());
    let other = beside(request);
    // The oldest event of the feed is not looked for.
    feed.publish(&[ended(other, &tenant, 1)]).await.unwrap();
    let [early, absent, late] = [10, 400, 800].map(|n| ended(request, &tenant, n));
    feed.publish(std::slice::from_ref(&early)).await.unwrap();
    // More than one page of events is between them.
    let others: Vec<_> = (11..1_200).map(|n| ended(other, &tenant, n)).collect();
    feed.publish(&others).await.unwrap();
    let all = [early, absent.clone(), late.clone()];
    let lacking = feed.lacking(request, &all).await.unwrap();
    assert_eq!(lacking, [absent.clone(), late.clone()]);
    feed.publish(&[late]).await.unwrap();
    let lacking = feed.lacking(request, &all).await.unwrap();
    assert_eq!(lacking, std::slice::from_ref(&absent));
    feed.publish(&[absent]).await.unwrap();
    assert_eq!(feed.lacking(request, &all).await.unwrap(), []);
}

#[tokio::test]
async fn events_that_an_earlier_build_published_are_in_the_feed_and_its_readers_get_both() {
    let world = World::own().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let jetstream = world.jetstream().await;
    // The stream as an earlier build left it, with an event at the subject of its request.
    let stream = jetstream.get_stream("LIFECYCLE").await.unwrap();
    let mut before = stream.cached_info().config.clone();
    before.subjects = vec!["lifecycle.>".into()];
    jetstream.update_stream(before).await.unwrap();
    let reader = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("reader".into()),
        filter_subjects: vec!["lifecycle.group-completed.*".into()],
        deliver_policy: async_nats::jetstream::consumer::DeliverPolicy::New,
        ..Default::default()
    };
    stream.create_consumer(reader).await.unwrap();
    let (tenant, request) = (Tenant::default(), new_id());
    let mut feed = Feed::new(connection);
    feed.publish(&[ended(new_id(), &tenant, 1)]).await.unwrap();
    let old = ended(request, &tenant, 2);
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", CloudEvent::of(&old).id);
    headers.insert("ce-subject", request.to_string());
    let at = format!("lifecycle.group-completed.{request}");
    let sent = jetstream.publish_with_headers(at, headers, "{}".into());
    sent.await.unwrap().await.unwrap();

    let connection = connect(world.nats_url(), &Topology::default()).await;
    assert_eq!(feed.lacking(request, &[old]).await.unwrap(), []);
    let desk = "desk-2".parse().unwrap();
    feed.publish(&[ended(request, &desk, 3)]).await.unwrap();
    let wait = std::time::Duration::from_secs(10);
    let names = ["group-completed"];
    let reader = FeedReader::open(&connection, "reader", &names, wait).await;
    let mut reader = reader.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = reader.next().await;
        told.push((event.request() == Some(request), event.tenant().to_string()));
        event.ack().await.unwrap();
    }
    let wanted = [(false, "default"), (true, "default"), (true, "desk-2")];
    assert_eq!(told, wanted.map(|(own, tenant)| (own, tenant.to_owned())));
}
