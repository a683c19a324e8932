//! Two instances of the log, one of them stale. The broker does not check a decision without a
//! commit, so the stale instance must read the log.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::request::{
    Advance, AttemptNumber, Command, Event, GroupIndex, Outcome, Payload, Report, RequestId, Rules,
    Run, Sequence, Status, Steps, TaskNumber, Then, Verdict,
};
use harness::World;
use jiff::Timestamp;
use nats::{Deliveries, Log, LogReader, Topology};

use crate::{connect, log, new_id, submission};

const RULES: Rules = Rules {
    group_timeout: Duration::from_mins(15),
    fail_fast: false,
};

fn advance(reports: Vec<Report>, steps: Option<Steps>) -> Command {
    Command::Advance(Advance {
        reports,
        steps,
        now: Timestamp::now(),
        rules: RULES,
    })
}

/// The steps that start a group of two tasks.
fn started(from: u32) -> Steps {
    let (name, tasks) = (None, NonZeroU32::MIN.saturating_add(1));
    let (empty, then) = (Vec::new(), Then::Group { name, tasks });
    Steps {
        from: GroupIndex::new(from),
        empty,
        then,
    }
}

fn start(group: u32) -> Command {
    advance(Vec::new(), Some(started(group)))
}

fn outcome(group: u32, task: u32) -> Report {
    Report::Outcome(Outcome {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        run: Some(Run::FIRST),
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        given: None,
        checked: false,
        exhausted: false,
        verdict: Verdict::Succeeded(Payload::from("<r/>")),
    })
}

fn redrive() -> Command {
    Command::Redrive {
        by: "tests".into(),
        on_behalf_of: None,
        reason: "tests".into(),
        now: Timestamp::now(),
        rules: RULES,
        only: None,
    }
}

/// A request that both instances have cached as received.
async fn known_to_both(world: &World) -> (Log, Log, RequestId) {
    let topology = Topology::default();
    let here = log(world.nats_url(), &topology).await;
    let there = log(world.nats_url(), &topology).await;
    let id = new_id();
    here.execute(id, Command::Submit(submission("a")))
        .await
        .unwrap();
    there.load(id).await.unwrap();
    (here, there, id)
}

async fn events(log: &Log, id: RequestId) -> Vec<&'static str> {
    let commits = log.read(id, Sequence::NONE).await.unwrap();
    commits
        .iter()
        .flat_map(|c| &c.events)
        .map(Event::name)
        .collect()
}

#[tokio::test]
async fn an_outcome_of_a_group_that_another_instance_started_is_not_lost() {
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    here.execute(id, start(0)).await.unwrap();
    there.forget(id);
    there.load(id).await.unwrap();
    let ended = vec![outcome(0, 1), outcome(0, 2)];
    let next = Some(started(1));
    here.execute(id, advance(ended, next)).await.unwrap();
    // In the stale instance group 0 still runs, and an outcome of group 1 is ignored.
    let receipt = there.execute(id, advance(vec![outcome(1, 1)], None)).await;
    assert!(receipt.unwrap().committed);
    assert_eq!(events(&here, id).await.last(), Some(&"task-succeeded"));
}

#[tokio::test]
async fn an_outcome_of_a_run_that_another_instance_began_is_not_lost() {
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    let end = domain::request::Failure {
        code: "hydration-no-match".into(),
        message: "nothing there".into(),
        ..domain::request::Failure::default()
    };
    here.execute(id, Command::Abort(end)).await.unwrap();
    there.forget(id);
    there.load(id).await.unwrap();
    here.execute(id, redrive()).await.unwrap();
    here.execute(id, start(0)).await.unwrap();
    // In the stale instance the request has failed without a group, and an outcome is ignored.
    let receipt = there.execute(id, advance(vec![outcome(0, 1)], None)).await;
    assert!(receipt.unwrap().committed);
    let expected = [
        "received",
        "failed",
        "redriven",
        "group-started",
        "task-succeeded",
    ];
    assert_eq!(events(&here, id).await, expected);
}

#[tokio::test]
async fn a_refusal_on_an_old_state_is_decided_again() {
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    here.execute(id, start(0)).await.unwrap();
    let late = Report::RequestTimedOut { run: Run::FIRST };
    here.execute(id, advance(vec![late], None)).await.unwrap();
    // In the stale instance the request has only been received, so a redrive is refused.
    assert!(there.execute(id, redrive()).await.unwrap().committed);
    let loaded = there.load_current(id).await.unwrap();
    let status = loaded.state().request().unwrap().status();
    assert_eq!(status, Status::Running);
}

#[tokio::test]
async fn a_state_loaded_as_current_is_not_stale() {
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    let started = here.execute(id, start(0)).await.unwrap().sequence;
    assert!(
        there.load(id).await.unwrap().sequence() < started,
        "it is behind"
    );
    assert_eq!(there.load_current(id).await.unwrap().sequence(), started);
    let ahead = there.load_since(id, started.next()).await;
    assert!(
        ahead.is_err_and(|error| error.is_transient()),
        "what is not there is not made up"
    );
}

#[tokio::test]
async fn cached_state_is_kept_for_the_log_follower_and_evicted_without_one() {
    const FAR: Sequence = Sequence::new(1_000_000);
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    let known = there.load(id).await.unwrap().sequence();
    let now = here.execute(id, start(0)).await.unwrap().sequence;
    // The instance has no log follower, so the state is evicted, and read again.
    assert!(!there.hand_over(id, known));
    assert_eq!(there.load(id).await.unwrap().sequence(), now);
    let ended = vec![outcome(0, 1)];
    let ended = here.execute(id, advance(ended, None)).await;
    assert!(ended.unwrap().sequence > now && now > known);
    let mut delivered = here.read(id, Sequence::NONE).await.unwrap().swap_remove(0);
    (delivered.request, delivered.sequence) = (new_id(), FAR);
    drop(there.observe(&delivered).await);
    assert!(there.hand_over(id, FAR));
    assert_eq!(there.load(id).await.unwrap().sequence(), now);
}

#[tokio::test]
async fn the_state_of_an_ended_request_is_evicted_where_no_log_follower_does_it() {
    let world = World::start().await;
    let (here, there, id) = known_to_both(&world).await;
    let now = here.execute(id, start(0)).await.unwrap().sequence;
    assert!(!here.let_go_of_ended(id, now).await, "it runs");
    let late = Report::RequestTimedOut { run: Run::FIRST };
    let ended = here.execute(id, advance(vec![late], None)).await;
    let ended = ended.unwrap().sequence;
    assert!(here.let_go_of_ended(id, ended).await);
    let again = there.execute(id, redrive()).await.unwrap().sequence;
    let read = here.load(id).await.unwrap().sequence();
    assert_eq!(read, again, "it is read again, because it was evicted");

    let (here, _, id) = known_to_both(&world).await;
    let received = here.read(id, Sequence::NONE).await.unwrap().swap_remove(0);
    drop(here.observe(&received).await);
    here.execute(id, start(0)).await.unwrap();
    let late = Report::RequestTimedOut { run: Run::FIRST };
    let ended = here.execute(id, advance(vec![late], None)).await;
    let ended = ended.unwrap().sequence;
    assert!(
        !here.let_go_of_ended(id, ended).await,
        "its log follower does it"
    );
}

#[tokio::test]
async fn a_commit_is_delivered_as_it_was_made_and_again_as_it_is_read() {
    let world = World::start().await;
    let topology = Topology::default();
    let connection = connect(world.nats_url(), &topology).await;
    let log = Log::new(connection.clone(), topology.shards);
    let mut deliveries = Deliveries::of_log(&connection, 0, LogReader::Orchestrator)
        .await
        .unwrap();
    let submit = async || {
        let id = new_id();
        log.execute(id, Command::Submit(submission("a")))
            .await
            .unwrap();
        id
    };
    // The log has no follower yet, so this commit is not kept.
    let first = submit().await;
    let delivery = deliveries.next().await.unwrap().swap_remove(0);
    let commit = log.delivered(&delivery).await.unwrap();
    assert_eq!(
        (commit.request, &commit),
        (first, &delivery.commit().unwrap())
    );
    drop(log.observe(&commit).await);

    let second = submit().await;
    let delivery = deliveries.next().await.unwrap().swap_remove(0);
    let made = log.delivered(&delivery).await.unwrap();
    assert_eq!(made.request, second);
    assert_eq!(made, delivery.commit().unwrap());
    let again = log.delivered(&delivery).await.unwrap();
    assert_eq!(again, made);
}
