//! The execution against a real broker: what was done before a crash is not done again, and what
//! others did is not taken for it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::access::{Scope, Subject, Tenant};
use domain::bulk::{Action, Counts, Item, Plan, Rejection, SELECTED_MAX, Target};
use domain::request::{
    Attempt, AttemptNumber, Event, Failed, Failure, Fault, GroupIndex, Payload, Received,
    RequestId, Run, Sequence, Succeeded, TaskId, TaskNumber,
};
use harness::World;
use jiff::Timestamp;
use nats::{ByWhom, Connection, DeadLetter, Filter, Log, Options, Topology};
use runtime::{Documents, Settings};

use super::*;
use crate::{Operations, Why};

/// The shortest lease, so that the next executor takes over soon.
const LEASE: Duration = Duration::from_secs(1);
const AT_ONCE: Plan = Plan {
    canary: 0,
    per_second: 1_000,
    stop_after_failures: None,
};

async fn operations(world: &World) -> Operations {
    let options = Options::new(world.nats_url(), "tests");
    let connection = Connection::open(&options).await.unwrap();
    Topology::default().declare(&connection).await.unwrap();
    let settings = Settings::load(None, |_| None, |_| None).unwrap();
    let log = Log::new(connection.clone(), 1);
    Operations::new(connection, log, Documents::default(), &settings.deployment)
}

fn why(reason: &str) -> Why {
    let anna: Subject = "anna".parse().unwrap();
    Why::new(&anna, None, reason).unwrap()
}

fn received() -> Event {
    received_of(Tenant::default())
}

fn received_of(tenant: Tenant) -> Event {
    Event::Received(Box::new(Received {
        tenant,
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: Vec::new(),
        metadata: BTreeMap::new(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    }))
}

fn failed() -> Event {
    Event::Failed(Failed {
        failure: Failure {
            code: "hydration-no-match".into(),
            message: "nothing there".into(),
            ..Failure::default()
        },
    })
}

async fn request(operations: &Operations, events: &[Event]) -> RequestId {
    let id = RequestId::new(uuid::Uuid::now_v7());
    let appended = operations.log.append(id, Sequence::NONE, events);
    appended.await.unwrap();
    id
}

/// A request goes on by another process.
async fn goes_on(operations: &Operations, id: RequestId, event: Event) {
    let last = operations.log.last_sequence(id).await.unwrap();
    operations.log.append(id, last, &[event]).await.unwrap();
    operations.log.forget(id);
}

async fn letter(operations: &Operations) -> String {
    letter_of(operations, Tenant::default()).await
}

async fn letter_of(operations: &Operations, tenant: Tenant) -> String {
    let letter = DeadLetter {
        tenant,
        task: TaskId {
            request: RequestId::new(uuid::Uuid::now_v7()),
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
        },
        run: Run::FIRST,
        task_type: "default".into(),
        document: Payload::from("<vnml/>"),
        attempts: vec![Attempt {
            attempt: AttemptNumber::new(1),
            worker: "w".into(),
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: 1,
            fault: Fault {
                code: "exit-1".into(),
                message: "it did not work".into(),
                causes: Vec::new(),
            },
        }],
        sequence: None,
        truncated: false,
        exhausted: false,
    };
    operations.letters.keep(letter).await.unwrap().id()
}

fn letters() -> Select {
    Select::Letters {
        filter: Filter::default(),
        after: 0,
        until: None,
        in_parts: false,
    }
}

async fn started(operations: &Operations, action: Action, select: Select) -> Folded {
    let order = Order {
        tenant: Tenant::default(),
        action,
        select,
        why: why("the bulk"),
    };
    let (draft, _) = operations.draft(order).await.unwrap();
    let actor = why("start").actor();
    operations.start(draft.id, AT_ONCE, actor).await.unwrap()
}

/// Executes until the counts are as wanted.
async fn until_counts(
    executor: &mut Executor,
    operations: &Operations,
    folded: &Folded,
    wanted: impl Fn(&Counts) -> bool,
) -> Folded {
    let waiting = async {
        loop {
            executor.round().await.unwrap();
            let now = operations.bulk_operation(folded.id).await.unwrap().unwrap();
            if wanted(&now.operation().unwrap().counts) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let folded = tokio::time::timeout(harness::LIMIT, waiting).await;
    folded.expect("the counts are as wanted")
}

/// An executor that has asked for everything, and dies before it acts.
async fn dies_after_asking(operations: &Operations, folded: &Folded) {
    let mut executor = Executor::new(operations.clone(), LEASE);
    let asked = |counts: &Counts| counts.waiting == 0;
    let now = until_counts(&mut executor, operations, folded, asked).await;
    let counts = now.operation().unwrap().counts;
    assert_eq!(counts.asking, counts.selected(), "it has not acted yet");
}

async fn redrives(operations: &Operations, id: RequestId) -> usize {
    let commits = operations.log.read(id, Sequence::NONE).await.unwrap();
    let events = commits.iter().flat_map(|commit| &commit.events);
    events
        .filter(|event| matches!(event, Event::Redriven(_)))
        .count()
}

#[tokio::test]
async fn a_redrive_that_was_done_before_a_crash_is_not_done_again_and_one_of_others_is_skipped() {
    let world = World::start().await;
    let operations = operations(&world).await;
    let own = request(&operations, &[received(), failed()]).await;
    let of_others = request(&operations, &[received(), failed()]).await;
    let select = Select::Ids(vec![own, of_others, own]);
    let folded = started(&operations, Action::Redrive, select).await;
    assert_eq!(
        folded.operation().unwrap().counts.selected(),
        2,
        "each once"
    );
    dies_after_asking(&operations, &folded).await;
    // The one that died had redriven the first. Somebody else has redriven the second.
    let run = Some(Run::FIRST);
    operations
        .redrive_run(own, why("the bulk"), run)
        .await
        .unwrap();
    operations.redrive(of_others, why("by hand")).await.unwrap();

    let mut executor = Executor::new(operations.clone(), LEASE);
    let settled = |counts: &Counts| counts.asking == 0;
    let now = until_counts(&mut executor, &operations, &folded, settled).await;
    let items: Vec<_> = now.operation().unwrap().items().collect();
    assert_eq!(items[0].item, Item::Running(Run::FIRST.next()));
    assert_eq!(items[1].item, Item::Skipped);
    for id in [own, of_others] {
        assert_eq!(redrives(&operations, id).await, 1);
    }
    let response = Payload::from("<vnml/>");
    goes_on(&operations, own, Event::Succeeded(Succeeded { response })).await;
    let done = |counts: &Counts| counts.pending() == 0;
    let end = until_counts(&mut executor, &operations, &folded, done).await;
    assert_eq!(end.told().unwrap().status, "completed");
    assert_eq!(end.operation().unwrap().counts.done, 1);
}

#[tokio::test]
async fn a_run_that_failed_and_was_redriven_by_others_has_failed() {
    let world = World::start().await;
    let operations = operations(&world).await;
    let id = request(&operations, &[received(), failed()]).await;
    let folded = started(&operations, Action::Redrive, Select::Ids(vec![id])).await;
    let mut executor = Executor::new(operations.clone(), LEASE);
    let runs = |counts: &Counts| counts.running == 1;
    until_counts(&mut executor, &operations, &folded, runs).await;
    goes_on(&operations, id, failed()).await;
    operations.redrive(id, why("by hand")).await.unwrap();
    let done = |counts: &Counts| counts.pending() == 0;
    let end = until_counts(&mut executor, &operations, &folded, done).await;
    let items: Vec<_> = end.operation().unwrap().items().collect();
    assert_eq!(items[0].item, Item::Failed);
    assert_eq!(
        items[0].reason,
        Some("it failed again, and was redriven once more")
    );
}

#[tokio::test]
async fn a_cancellation_and_a_discard_that_were_done_before_a_crash_are_done() {
    let world = World::start().await;
    let operations = operations(&world).await;
    let own = request(&operations, &[received()]).await;
    let of_others = request(&operations, &[received()]).await;
    let select = Select::Ids(vec![own, of_others]);
    let cancel = started(&operations, Action::Cancel, select).await;
    dies_after_asking(&operations, &cancel).await;
    operations.cancel(own, why("the bulk")).await.unwrap();
    operations.cancel(of_others, why("by hand")).await.unwrap();

    let (first, second) = (letter(&operations).await, letter(&operations).await);
    let discard = started(&operations, Action::Discard, letters()).await;
    let asked = |counts: &Counts| counts.waiting == 0;
    let mut executor = Executor::new(operations.clone(), LEASE);
    until_counts(&mut executor, &operations, &discard, asked).await;
    for (letter, operation) in [(&first, Some(discard.id)), (&second, None)] {
        let whom = ByWhom {
            by: "anna",
            on_behalf_of: None,
            reason: "r",
            operation,
        };
        operations.letters.discard(letter, &whom).await.unwrap();
    }
    let done = |counts: &Counts| counts.pending() == 0;
    for (folded, reason) in [
        (&cancel, "it is cancelled already"),
        (&discard, "it was discarded meanwhile"),
    ] {
        let end = until_counts(&mut executor, &operations, folded, done).await;
        let items: Vec<_> = end.operation().unwrap().items().collect();
        assert_eq!(items[0].item, Item::Done, "{reason}");
        assert_eq!(
            (items[1].item, items[1].reason),
            (Item::Skipped, Some(reason))
        );
    }
}

#[tokio::test]
async fn an_operation_whose_selection_is_lost_ends_and_says_so() {
    let world = World::start().await;
    let operations = operations(&world).await;
    // Enough items for a selection that is stored by itself.
    let ids = (0..2_000).map(|_| RequestId::new(uuid::Uuid::now_v7()));
    let folded = started(&operations, Action::Redrive, Select::Ids(ids.collect())).await;
    let jetstream = world.jetstream().await;
    let bucket = jetstream.get_stream("OBJ_PAYLOADS").await.unwrap();
    bucket.purge().await.unwrap();
    let mut executor = Executor::new(operations.clone(), LEASE);
    let done = |counts: &Counts| counts.pending() == 0;
    let end = until_counts(&mut executor, &operations, &folded, done).await;
    let operation = end.operation().unwrap();
    assert_eq!(operation.counts.refused, 2_000);
    let first = operation.items().next().unwrap();
    assert_eq!(
        first.reason,
        Some("the selection of the operation is no longer kept")
    );
}

#[tokio::test]
async fn without_an_executor_an_operation_waits_and_its_caller_is_told_so_in_time() {
    let world = World::start().await;
    let operations = operations(&world).await;
    letter(&operations).await;
    let folded = started(&operations, Action::Discard, letters()).await;
    let limit = Duration::from_millis(200);
    let now = operations.answered(folded.id, limit).await.unwrap();
    assert_eq!(now.operation().unwrap().counts.pending(), 1);
}

#[tokio::test]
async fn a_selection_of_too_much_is_refused_and_never_cut_off() {
    let world = World::start().await;
    let operations = operations(&world).await;
    let most = SELECTED_MAX + 1;
    let ids = (0..most).map(|_| RequestId::new(uuid::Uuid::now_v7()));
    let select = Select::Ids(ids.collect());
    let own = Tenant::default();
    let refused = operations.select(&own, Action::Redrive, &select).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, BulkError::Refused(Rejection::TooManySelected)),
        "{refused}"
    );
}

#[tokio::test]
async fn what_another_tenant_has_is_in_no_selection_and_nothing_is_done_to_it() {
    let world = World::start().await;
    let operations = operations(&world).await;
    let red: Tenant = "red".parse().unwrap();
    let own = request(&operations, &[received(), failed()]).await;
    let reds = request(&operations, &[received_of(red.clone()), failed()]).await;
    let own_letter = letter(&operations).await;
    let reds_letter = letter_of(&operations, red.clone()).await;
    let all = Select::Requests {
        filter: Box::default(),
        since: None,
    };
    for (tenant, request, letter) in [
        (Tenant::default(), own, &own_letter),
        (red.clone(), reds, &reds_letter),
    ] {
        let selected = operations.select(&tenant, Action::Redrive, &all).await;
        let run = Run::FIRST;
        let wanted = [Target::Request { id: request, run }];
        assert_eq!(selected.unwrap().items, wanted, "{tenant}");
        let selected = operations
            .select(&tenant, Action::Discard, &letters())
            .await;
        let wanted = [Target::Letter(letter.clone())];
        assert_eq!(selected.unwrap().items, wanted, "{tenant}");
    }

    // Ids are as those of requests that never were.
    let select = Select::Ids(vec![reds, own]);
    let folded = started(&operations, Action::Redrive, select).await;
    let outlook = &folded.operation().unwrap().drafted.outlook;
    assert_eq!((outlook.act, outlook.skip.len()), (1, 1));
    let mut executor = Executor::new(operations.clone(), LEASE);
    let asked = |counts: &Counts| counts.running == 1 && counts.skipped == 1;
    let now = until_counts(&mut executor, &operations, &folded, asked).await;
    let reason = now.operation().unwrap().items().next().unwrap().reason;
    assert_eq!(reason, Some("the log no longer has the request"));
    assert_eq!(redrives(&operations, reds).await, 0);
    assert_eq!(redrives(&operations, own).await, 1);

    // The operation itself is one of its tenant.
    let (of_red, of_default) = (Scope::One(red), Scope::One(Tenant::default()));
    for (scope, is_seen) in [(&of_red, false), (&of_default, true), (&Scope::Every, true)] {
        let one = operations.bulk_operation_of(scope, folded.id).await;
        assert_eq!(one.unwrap().is_some(), is_seen, "{scope:?}");
        let list = operations.bulk_operations(scope).await.unwrap();
        assert_eq!(list.len(), usize::from(is_seen), "{scope:?}");
    }
}
