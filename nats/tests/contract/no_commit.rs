//! Messages in the log that are no commits.

use domain::request::{Command, RequestId, Sequence};
use harness::World;
use nats::{Commit, Log, Scan, Topology};

use crate::{connect, log, new_id, received, submission};

/// Stores a message that is no commit in the log of a request, as the broker stores an answer.
async fn stray(world: &World, id: RequestId) -> u64 {
    let jetstream = world.jetstream().await;
    let subject = format!("requests.{}.{id}", id.partition());
    let sent = jetstream.publish(subject, "{}".into()).await.unwrap();
    sent.await.unwrap().sequence
}

async fn sequences(log: &Log, id: RequestId) -> Vec<u64> {
    let commits = log.read(id, Sequence::NONE).await.unwrap();
    commits.iter().map(|commit| commit.sequence.get()).collect()
}

#[tokio::test]
async fn a_request_goes_on_over_a_message_that_is_no_commit() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let id = new_id();
    // Before the first commit, between two, and at the end.
    stray(&world, id).await;
    assert_eq!(log.last_sequence(id).await.unwrap(), Sequence::NONE);
    log.execute(id, Command::Submit(submission("a")))
        .await
        .unwrap();
    assert_eq!(sequences(&log, id).await, [2]);
    stray(&world, id).await;
    assert_eq!(log.last_sequence(id).await.unwrap(), Sequence::new(2));
    // This process knows the state, and not that the message is there.
    let cancel = Command::Cancel {
        by: "tests".into(),
        on_behalf_of: None,
        reason: "enough".into(),
    };
    log.execute(id, cancel).await.unwrap();
    let commits = log.read(id, Sequence::NONE).await.unwrap();
    let chain: Vec<(u64, u64)> = commits
        .iter()
        .map(|commit: &Commit| (commit.sequence.get(), commit.previous.get()))
        .collect();
    assert_eq!(chain, [(2, 0), (4, 2)]);
    stray(&world, id).await;
    assert_eq!(
        log.last(id).await.unwrap().unwrap().sequence,
        Sequence::new(4)
    );
    assert_eq!(log.read_whole(id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_scan_leaves_out_what_is_no_commit_even_at_its_end() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let log = Log::new(connection.clone(), 1);
    let id = new_id();
    for _ in 0..3 {
        stray(&world, id).await;
    }
    let other = new_id();
    log.append(other, Sequence::NONE, &[received("a")])
        .await
        .unwrap();
    stray(&world, id).await;
    let mut scan = Scan::open(&connection, 0, Sequence::FIRST, Sequence::MAX)
        .await
        .unwrap();
    let read = scan.next_each(2).await.unwrap().unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_ref().unwrap().request, other);
    assert!(scan.next_each(2).await.unwrap().is_none());
}
