//! The histories of bulk operations, and the lease of whoever executes them.

use std::time::{Duration, Instant};

use domain::bulk::{Asking, Event, OperationId, Stopped};
use futures::future::join_all;
use harness::World;
use nats::{BulkLog, Error, Lease, Topology};

use crate::connect;

const LASTS: Duration = Duration::from_secs(1);

fn id() -> OperationId {
    OperationId::new(uuid::Uuid::now_v7())
}

fn asking(items: impl IntoIterator<Item = u32>) -> Vec<Event> {
    let items = items.into_iter().collect();
    vec![Event::Asking(Asking { items })]
}

#[tokio::test]
async fn of_many_commits_after_the_same_one_only_one_is_stored() {
    let world = World::start().await;
    let log = BulkLog::new(connect(world.nats_url(), &Topology::default()).await);
    let id = id();
    let first = log.append(id, &[Event::Completed], 0).await.unwrap();
    let attempts: Vec<Vec<Event>> = (0..8).map(|item| asking([item])).collect();
    let appending = attempts.iter().map(|events| log.append(id, events, first));
    let appended = join_all(appending).await;
    let stored: Vec<_> = appended
        .iter()
        .filter_map(|done| done.as_ref().ok())
        .collect();
    assert_eq!(stored.len(), 1, "{appended:?}");
    let conflict = |done: &&Result<u64, Error>| matches!(done, Err(Error::Conflict));
    assert_eq!(appended.iter().filter(conflict).count(), 7);
    let commits = log.commits(id).await.unwrap();
    let sequences: Vec<u64> = commits.iter().map(|commit| commit.sequence).collect();
    assert_eq!(sequences, [first, *stored[0]]);
}

#[tokio::test]
async fn the_histories_of_all_operations_are_read_in_order_and_each_by_itself() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let log = BulkLog::new(connection.clone());
    assert!(log.commits(id()).await.unwrap().is_empty());
    assert_eq!(log.since(0).await.unwrap().last, None);
    let (one, other) = (id(), id());
    // A large commit is stored compressed.
    let large = asking(0..9_000);
    let first = log.append(one, &large, 0).await.unwrap();
    log.append(other, &[Event::Completed], 0).await.unwrap();
    let stopped = [Event::Stopped(Stopped { failed: 2 })];
    let last = log.append(one, &stopped, first).await.unwrap();
    let commits = log.commits(one).await.unwrap();
    assert_eq!(commits.len(), 2);
    assert_eq!(
        (&commits[0].events, &commits[1].events[..]),
        (&large, &stopped[..])
    );
    let page = log.since(0).await.unwrap();
    let ids: Vec<OperationId> = page.commits.iter().map(|commit| commit.operation).collect();
    assert_eq!(
        (ids, page.more, page.last),
        (vec![one, other, one], false, Some(last))
    );
    let page = log.since(first).await.unwrap();
    assert_eq!(page.commits.len(), 2);
}

#[tokio::test]
async fn a_commit_of_a_later_version_hides_no_other_operation() {
    let world = World::start().await;
    let log = BulkLog::new(connect(world.nats_url(), &Topology::default()).await);
    let (one, other) = (id(), id());
    let jetstream = world.jetstream().await;
    let unknown = jetstream.publish(format!("operations.bulk.{one}"), "[\"unheard-of\"]".into());
    unknown.await.unwrap().await.unwrap();
    log.append(other, &[Event::Completed], 0).await.unwrap();
    let error = log.commits(one).await.unwrap_err();
    assert!(error.is_of_the_data(), "{error}");
    let page = log.since(0).await.unwrap();
    assert_eq!(page.commits.len(), 1);
    assert_eq!(page.commits[0].operation, other);
}

#[tokio::test]
async fn a_lease_has_one_holder_and_passes_on_when_it_is_let_go_or_not_renewed() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let lease = |lasts| Lease::new(connection.clone(), "operations", lasts);
    let (mut first, mut second) = (lease(LASTS), lease(LASTS));
    assert!(first.hold().await.unwrap());
    assert!(first.hold().await.unwrap());
    assert!(!second.hold().await.unwrap());
    first.release().await;
    assert!(second.hold().await.unwrap());
    assert!(!first.hold().await.unwrap());

    // The second one stands still, and does not notice before it renews.
    let begun = Instant::now();
    while !first.hold().await.unwrap() {
        assert!(begun.elapsed() < 10 * LASTS, "the lease passes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= LASTS, "{:?}", begun.elapsed());
    assert!(!second.hold().await.unwrap());
    assert!(first.hold().await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_never_taken_over() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let mut first = Lease::new(connection.clone(), "operations", LASTS);
    let mut second = Lease::new(connection, "operations", LASTS);
    let begun = Instant::now();
    while begun.elapsed() < 3 * LASTS {
        assert!(first.hold().await.unwrap());
        assert!(!second.hold().await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
