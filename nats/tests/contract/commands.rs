use domain::request::{Command, Rejection, Sequence, Status};
use futures::future::join_all;
use harness::World;
use nats::{ExecuteError, Topology};

use crate::{log, new_id, submission};

#[tokio::test]
async fn the_same_submission_twice_is_obeyed_once_and_another_one_is_refused() {
    let world = World::start().await;
    let log = log(world.nats_url(), &Topology::default()).await;
    let id = new_id();
    let submit = |document: &str| log.execute(id, Command::Submit(submission(document)));
    let first = submit("a").await.unwrap();
    assert!(first.committed);
    let again = submit("a").await.unwrap();
    assert!(!again.committed);
    assert_eq!(again.sequence, first.sequence);
    let other = submit("b").await.unwrap_err();
    assert!(
        matches!(other, ExecuteError::Refused(Rejection::FingerprintDiffers)),
        "{other}"
    );
}

#[tokio::test]
async fn many_instances_that_submit_the_same_at_once_make_one_request() {
    let world = World::start().await;
    let topology = Topology::default();
    let logs = join_all((0..8).map(|_| log(world.nats_url(), &topology))).await;
    let id = new_id();
    let submits = (0..64).map(|n| logs[n % 8].execute(id, Command::Submit(submission("a"))));
    let receipts = join_all(submits).await;
    let committed = receipts
        .iter()
        .filter(|r| r.as_ref().unwrap().committed)
        .count();
    // Equal commits are indistinguishable, so more than one writer may consider the commit its own.
    assert!(committed >= 1);
    assert_eq!(logs[0].read(id, Sequence::NONE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_command_decided_on_an_old_state_is_decided_again() {
    let world = World::start().await;
    let topology = Topology::default();
    let here = log(world.nats_url(), &topology).await;
    let there = log(world.nats_url(), &topology).await;
    let id = new_id();
    here.execute(id, Command::Submit(submission("a")))
        .await
        .unwrap();
    there.load(id).await.unwrap();
    let cancel = |by: &str| Command::Cancel {
        by: by.into(),
        on_behalf_of: None,
        reason: "test".into(),
    };
    assert!(here.execute(id, cancel("here")).await.unwrap().committed);
    assert!(
        !there.execute(id, cancel("there")).await.unwrap().committed,
        "it is cancelled already"
    );
    let status = there
        .load(id)
        .await
        .unwrap()
        .state()
        .request()
        .map(domain::request::Request::status);
    assert_eq!(status, Some(Status::Cancelled));
}
