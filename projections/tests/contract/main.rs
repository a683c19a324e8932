//! The views against a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod cluster;
mod groups;
mod redelivery;
mod store;
mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::request::{
    Attempt, AttemptNumber, Event, Failed, FailedTask, Failure, Fault, GroupIndex, GroupOutline,
    GroupStarted, Next, Payload, Received, Recorded, RequestId, Sequence, Succeeded, TaskFailed,
    TaskNumber, TaskSucceeded,
};
use harness::World;
use jiff::Timestamp;
use projections::{Connection, Store};

const KEEP: Duration = Duration::from_hours(1);

async fn store(world: &World) -> Store {
    Store::new(Connection::open(world.redis_url()).await.unwrap(), KEEP)
}

fn new_id() -> RequestId {
    RequestId::new(uuid::Uuid::now_v7())
}

/// The events of commits, in order: the first commit has sequence 10, the next 20, and so on.
fn recorded(request: RequestId, commits: &[Vec<Event>]) -> Vec<Recorded<Event>> {
    let mut all = Vec::new();
    for (sequence, events) in (1..).map(|n| n * 10).zip(commits) {
        for (index, event) in (0..).zip(events) {
            all.push(Recorded {
                request,
                sequence: Sequence::new(sequence),
                index,
                at: Timestamp::now(),
                tenant: domain::access::Tenant::default(),
                traceparent: None,
                event: event.clone(),
            });
        }
    }
    all
}

/// The events of this many first commits.
fn first_commits(events: &[Recorded<Event>], commits: usize) -> Vec<Recorded<Event>> {
    let last = commits as u64 * 10;
    let first = events
        .iter()
        .filter(|event| event.sequence <= Sequence::new(last));
    first.cloned().collect()
}

fn received() -> Event {
    Event::Received(Box::new(Received {
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: vec![
            GroupOutline {
                name: Some("g".into()),
                valuations: 2
            };
            2
        ],
        metadata: BTreeMap::from([("x-desk".into(), "rates".into())]),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: Some("key".into()),
    }))
}

fn started(group: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::new(group),
        name: Some("g".into()),
        tasks: 2,
        deadline: Timestamp::now(),
    })
}

fn done(group: u32, task: u32) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        given: None,
        result: Payload::from("<r/>"),
    })
}

fn attempt() -> Attempt {
    Attempt {
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        fault: Fault {
            code: "exit-65".into(),
            message: "no curve".into(),
            causes: Vec::new(),
        },
    }
}

fn given_up(group: u32, task: u32) -> Event {
    let next = Next::DeadLetter("letter".into());
    Event::TaskFailed(TaskFailed {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: attempt(),
        given: None,
        next,
    })
}

fn failed() -> Event {
    let tasks = vec![FailedTask {
        task: TaskNumber::new(2),
        attempts: vec![attempt()],
        dead_letter: Some("letter".into()),
    }];
    Event::Failed(Failed {
        failure: Failure {
            code: "tasks-failed".into(),
            message: "1 of 2".into(),
            group: Some(GroupIndex::FIRST),
            tasks,
            redrive_may_help: true,
            ..Failure::default()
        },
    })
}

/// A request that succeeds, commit by commit.
fn success() -> Vec<Vec<Event>> {
    let response = Payload::from("<vnml>result</vnml>");
    vec![
        vec![received()],
        vec![started(0)],
        vec![done(0, 1)],
        vec![
            done(0, 2),
            Event::GroupCompleted {
                group: GroupIndex::FIRST,
            },
            started(1),
        ],
        vec![
            done(1, 2),
            done(1, 1),
            Event::GroupCompleted {
                group: GroupIndex::new(1),
            },
            Event::Succeeded(Succeeded { response }),
        ],
    ]
}

/// A request that fails, commit by commit.
fn failure() -> Vec<Vec<Event>> {
    vec![
        vec![received()],
        vec![started(0)],
        vec![done(0, 1)],
        vec![given_up(0, 2), failed()],
    ]
}
