use domain::request::{
    Attempt, Fault, GroupStarted, Next, Payload, RequestId, Sequence, TaskFailed, TaskSucceeded,
};
use nats::Commit;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_000_000 + millis).unwrap()
}

fn commit(sequence: u64, at: Timestamp, events: Vec<Event>) -> Commit {
    Commit {
        request: RequestId::new(uuid::Uuid::nil()),
        sequence: Sequence::new(sequence),
        previous: Sequence::new(sequence - 1),
        at,
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        events,
    }
}

fn started(tasks: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: None,
        tasks,
        deadline: at(0),
    })
}

fn succeeded(task: u32, worker: &str, from: i64, ms: u64) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(task),
        attempt: AttemptNumber::new(1),
        worker: worker.into(),
        started_at: at(from),
        duration_ms: ms,
        given: None,
        result: Payload::from("<r/>"),
    })
}

fn failed(task: u32, worker: &str, from: i64, ms: u64) -> Event {
    let fault = Fault {
        code: "exit-75".into(),
        message: "no".into(),
        causes: Vec::new(),
    };
    Event::TaskFailed(TaskFailed {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(task),
        attempt: Attempt {
            attempt: AttemptNumber::new(1),
            worker: worker.into(),
            started_at: at(from),
            duration_ms: ms,
            fault,
        },
        given: None,
        next: Next::RetryAt(at(from)),
    })
}

/// A story without its first event: only the attempts matter here.
fn story(events: Vec<(i64, Vec<Event>)>) -> Story {
    let commits: Vec<Commit> = (1..)
        .zip(events)
        .map(|(sequence, (millis, events))| commit(sequence, at(millis), events))
        .collect();
    let golden = crate::story::tests::received(at(0));
    let all: Vec<Commit> = std::iter::once(golden).chain(commits).collect();
    Story::of(RequestId::new(uuid::Uuid::nil()), all, None).unwrap()
}

#[test]
fn an_attempt_marks_the_cells_of_its_task_and_of_its_time() {
    let story = story(vec![
        (0, vec![started(2)]),
        (300, vec![succeeded(1, "w-b", 0, 300)]),
        (600, vec![failed(2, "w-a", 300, 300)]),
    ]);
    let heat = Heat::of(&story, GroupIndex::FIRST, Order::Task, None).unwrap();
    assert_eq!((heat.rows, heat.whole), (2, Span { from: 0, to: 600 }));
    let row = |row: usize| &heat.busy[row * COLUMNS..(row + 1) * COLUMNS];
    assert_eq!((row(0)[0], row(0)[299], row(0)[400]), (1, 1, 0));
    assert_eq!((row(1)[0], row(1)[400], row(1)[599]), (0, 1, 1));
    assert_eq!(heat.failed[2 * COLUMNS - 1], 1);
    assert_eq!((heat.attempts, heat.failed_attempts), (2, 1));
    assert_eq!(heat.ran_ms, Some([300; 5]));
    let names: Vec<&str> = heat.workers.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["w-a", "w-b"]);
}

#[test]
fn a_worker_with_a_wrong_clock_cannot_reach_beyond_the_commit() {
    let story = story(vec![
        (0, vec![started(1)]),
        (500, vec![succeeded(1, "w", 90_000, 200)]),
    ]);
    let heat = Heat::of(&story, GroupIndex::FIRST, Order::Task, None).unwrap();
    assert_eq!(heat.whole.to, 500);
    assert_eq!(heat.slowest[0].to, 500);
}

#[test]
fn a_hundred_thousand_tasks_make_as_many_cells_as_a_few() {
    let tasks = 100_000;
    let all = (1..=tasks).map(|task| succeeded(task, "w", i64::from(task), 50));
    let story = story(vec![(0, vec![started(tasks)]), (200_000, all.collect())]);
    let heat = Heat::of(&story, GroupIndex::FIRST, Order::Worker, None).unwrap();
    assert_eq!(heat.busy.len(), COLUMNS);
    let heat = Heat::of(&story, GroupIndex::FIRST, Order::Task, None).unwrap();
    assert_eq!(heat.busy.len(), ROWS * COLUMNS);
    let span = Span {
        from: 1_000,
        to: 2_000,
    };
    let near = Heat::of(&story, GroupIndex::FIRST, Order::Task, Some(span)).unwrap();
    assert_eq!(near.span, span);
    assert_eq!(near.attempts, 1_001);
}

#[test]
fn a_group_that_has_not_started_has_no_matrix() {
    let story = story(Vec::new());
    assert!(Heat::of(&story, GroupIndex::FIRST, Order::Task, None).is_none());
}
