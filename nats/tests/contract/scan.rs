use domain::request::{Event, GroupIndex, Recorded, Sequence};
use harness::World;
use jiff::Timestamp;
use nats::{Error, Feed, Log, Scan, Topology};

use crate::{connect, new_id, received};

async fn append(log: &Log, many: u64) {
    for number in 0..many {
        let event = received(&number.to_string());
        log.append(new_id(), Sequence::NONE, &[event])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_range_whose_end_is_missing_is_tried_again_and_never_short() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let log = Log::new(connection.clone(), 1);
    append(&log, 3).await;
    let open = |to| Scan::open(&connection, 0, Sequence::FIRST, Sequence::new(to));
    // A server that lags answers like one that has less.
    let short = open(5).await.err();
    assert!(matches!(short, Some(Error::Unavailable(_))), "{short:?}");
    let (scan, ()) = futures::join!(open(5), append(&log, 2));
    let mut scan = scan.unwrap();
    let commits = scan.next(100).await.unwrap().unwrap();
    assert_eq!(commits.len(), 5);
    assert_eq!(scan.next(100).await.unwrap(), None);
    // The present end is always there.
    let mut scan = open(Sequence::MAX.get()).await.unwrap();
    assert_eq!(scan.next(100).await.unwrap().unwrap().len(), 5);
}

#[tokio::test]
async fn the_leader_says_which_commits_and_which_events_of_the_feed_are_there() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let log = Log::new(connection.clone(), 1);
    append(&log, 1).await;
    assert!(connection.has_commit(0, Sequence::FIRST).await.unwrap());
    let next = Sequence::FIRST.next();
    assert!(!connection.has_commit(0, next).await.unwrap());

    let event = Event::GroupCompleted {
        group: GroupIndex::FIRST,
    };
    let request = new_id();
    let at = Timestamp::now();
    let events: Vec<_> = (1..=4)
        .map(|sequence| Recorded {
            request,
            sequence: Sequence::new(sequence),
            index: 0,
            at,
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            event: &event,
        })
        .collect();
    let mut feed = Feed::new(connection);
    // An earlier event, so that all of these are younger than the feed's first.
    let earlier = Recorded {
        request: new_id(),
        ..events[0].clone()
    };
    let nothing = feed.lacking(request, &events).await.unwrap();
    assert!(nothing.is_empty(), "an empty feed was emptied by somebody");
    feed.publish(&[earlier]).await.unwrap();
    let events: Vec<_> = events
        .into_iter()
        .map(|event| Recorded {
            at: Timestamp::now(),
            ..event
        })
        .collect();
    feed.publish(&[events[0].clone(), events[3].clone()])
        .await
        .unwrap();
    let lacking = feed.lacking(request, &events).await.unwrap();
    assert_eq!(lacking, events[1..3]);
    feed.publish(&lacking).await.unwrap();
    assert!(feed.lacking(request, &events).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_is_read_whole_or_not_at_all() {
    let world = World::start().await;
    let log = Log::new(connect(world.nats_url(), &Topology::default()).await, 1);
    let id = new_id();
    assert!(log.read_whole(id).await.unwrap().is_empty());
    let first = log
        .append(id, Sequence::NONE, &[received("1")])
        .await
        .unwrap();
    log.append(id, first, &[received("2")]).await.unwrap();
    assert_eq!(log.read_whole(id).await.unwrap().len(), 2);
}
