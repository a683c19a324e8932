use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use domain::request::{
    Attempt, AttemptNumber, Cancelled, Event, Failed, Failure, Fault, Forked, Given, GroupIndex,
    GroupOutline, GroupStarted, Next, Payload, Received, Redriven, RequestId, Run, Sequence,
    Succeeded, TaskFailed, TaskNumber, TaskSucceeded,
};
use jiff::SignedDuration;
use nats::Commit;

use super::*;

/// A caller who records the trace, and one who does not.
const RECORDS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const RECORDS_NOT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn id() -> RequestId {
    "0199e0a1-2b3c-7d4e-8f50-617283940516".parse().unwrap()
}

/// The time so many milliseconds after the submission.
fn at(ms: i64) -> Timestamp {
    let begin = Timestamp::from_second(1_790_000_000).unwrap();
    begin + SignedDuration::from_millis(ms)
}

fn sampling(ratio: &str) -> Sampling {
    Sampling {
        ratio: ratio.parse().unwrap(),
        slow: Duration::from_secs(30),
    }
}

/// The fold of these commits, each with its time in milliseconds.
fn fold(commits: Vec<(i64, Vec<Event>)>) -> Fold {
    let mut fold = Fold::new(id());
    for (number, (ms, events)) in (1..).zip(commits) {
        fold.take(&Commit {
            tenant: domain::access::Tenant::default(),
            request: id(),
            sequence: Sequence::new(number),
            previous: Sequence::new(number - 1),
            at: at(ms),
            traceparent: None,
            events,
        });
    }
    fold
}

fn received(caller: Option<&str>) -> Event {
    let group = |name: &str| GroupOutline {
        name: Some(name.into()),
        valuations: 2,
    };
    Event::Received(Box::new(Received {
        tenant: domain::access::Tenant::default(),
        document: Payload::from("<vnml/>"),
        fingerprint: String::new(),
        groups: vec![group("curves"), group("bonds")],
        metadata: BTreeMap::new(),
        traceparent: caller.map(|caller| caller.parse().unwrap()),
        tracestate: "rojo=1".parse().ok(),
        submitter: "ada".into(),
        idempotency_key: None,
    }))
}

fn started(group: u32, name: &str, tasks: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::new(group),
        name: Some(name.into()),
        tasks,
        deadline: at(900_000),
    })
}

fn given(task_type: &str) -> Given {
    Given {
        task_type: task_type.into(),
        sha256: None,
    }
}

/// A task of a group that ran from one time to another.
fn done(group: u32, task: u32, attempt: u32, from: i64, to: i64) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: AttemptNumber::new(attempt),
        worker: format!("w{}", task % 2),
        started_at: at(from),
        duration_ms: u64::try_from(to - from).unwrap(),
        given: Some(given("bond")),
        result: Payload::from("<r/>"),
    })
}

fn failed(group: u32, task: u32, attempt: u32, (from, to): (i64, i64), next: Next) -> Event {
    Event::TaskFailed(TaskFailed {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: Attempt {
            attempt: AttemptNumber::new(attempt),
            worker: "w1".into(),
            started_at: at(from),
            duration_ms: u64::try_from(to - from).unwrap(),
            fault: Fault {
                code: "exit-65".into(),
                message: "the rate of client 4711 is missing".into(),
                causes: vec!["a secret".into()],
            },
        },
        given: Some(given("bond")),
        next,
    })
}

fn completed(group: u32) -> Event {
    Event::GroupCompleted {
        group: GroupIndex::new(group),
    }
}

fn succeeded() -> Event {
    Event::Succeeded(Succeeded {
        response: Payload::from("<response/>"),
    })
}

fn tasks_failed() -> Event {
    Event::Failed(Failed {
        failure: Failure {
            code: "tasks-failed".into(),
            message: "1 of 2 tasks".into(),
            group: Some(GroupIndex::new(1)),
            ..Failure::default()
        },
    })
}

/// A request with two groups, in which one task is tried twice.
fn two_groups(caller: Option<&str>) -> Fold {
    let again = Next::RetryAt(at(510));
    fold(vec![
        (0, vec![received(caller), started(0, "curves", 1)]),
        (
            40,
            vec![done(0, 1, 1, 6, 36), completed(0), started(1, "bonds", 2)],
        ),
        (
            130,
            vec![done(1, 1, 1, 45, 120), failed(1, 2, 1, (47, 120), again)],
        ),
        (
            610,
            vec![done(1, 2, 2, 522, 604), completed(1), succeeded()],
        ),
    ])
}

/// The spans as a tree: name, from and to in milliseconds, and what tells attempts apart.
fn tree(trace: &Trace) -> String {
    let mut text = format!("trace {}\n", trace.id);
    branch(trace, &trace.spans[0], "", &mut text);
    text
}

fn branch(trace: &Trace, span: &Span, indent: &str, text: &mut String) {
    let since = |time: Timestamp| time.duration_since(at(0)).as_millis();
    let (from, to) = (since(span.from), since(span.to));
    let shown = [
        "fanfold.task",
        "fanfold.attempt",
        "fanfold.worker",
        "error.type",
    ];
    let mut what = format!("{}  {from}..{to} ms", span.name);
    for (name, value) in span
        .attributes
        .iter()
        .filter(|(name, _)| shown.contains(name))
    {
        let name = name.trim_start_matches("fanfold.");
        let value = match value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
        };
        if span.kind == Kind::Consumer || name == "error.type" {
            write!(what, "  {name}={value}").unwrap();
        }
    }
    writeln!(text, "{what}  [{}]", span.id).unwrap();
    let children = trace
        .spans
        .iter()
        .filter(|child| child.parent == Some(span.id));
    let children: Vec<&Span> = children.collect();
    for (place, child) in children.iter().enumerate() {
        let is_last = place + 1 == children.len();
        let (corner, below) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        write!(text, "{indent}{corner}").unwrap();
        branch(trace, child, &format!("{indent}{below}"), text);
    }
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value)
}

fn number(span: &Span, name: &str) -> i64 {
    match attribute(span, name) {
        Some(Value::Number(number)) => *number,
        other => panic!("{name} of {} is {other:?}", span.name),
    }
}

/// The tree in `docs/traces.md` is the one that this test makes.
#[test]
fn the_trace_of_a_request_with_two_groups_is_the_tree_of_the_documentation() {
    let trace = two_groups(None).trace(&sampling("1")).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/traces.md");
    let page = std::fs::read_to_string(file).unwrap();
    let tree = tree(&trace);
    assert!(page.contains(&format!("```text\n{tree}```\n")), "\n{tree}");
}

#[test]
fn a_trace_that_is_made_again_is_the_same_trace() {
    let made = || two_groups(Some(RECORDS)).trace(&sampling("1"));
    assert_eq!(made(), made());
    let spans = made().unwrap().spans;
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len());
}

#[test]
fn the_trace_of_a_caller_who_records_goes_on_with_its_state() {
    let trace = two_groups(Some(RECORDS)).trace(&sampling("0")).unwrap();
    assert_eq!(trace.id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(trace.state, "rojo=1".parse().ok());
    let parent = trace.spans[0].parent.unwrap();
    assert_eq!(parent.to_string(), "00f067aa0ba902b7");
}

#[test]
fn of_a_caller_who_does_not_record_only_what_stands_out_is_kept_as_a_trace_of_its_own() {
    assert_eq!(two_groups(Some(RECORDS_NOT)).trace(&sampling("1")), None);
    let fails = fold(vec![
        (
            0,
            vec![received(Some(RECORDS_NOT)), started(0, "curves", 1)],
        ),
        (
            40,
            vec![
                failed(0, 1, 1, (5, 30), Next::DeadLetter("l".into())),
                tasks_failed(),
            ],
        ),
    ]);
    let trace = fails.trace(&sampling("0")).unwrap();
    assert_eq!(trace.id.to_string(), id().to_string().replace('-', ""));
    assert_eq!((trace.state.clone(), trace.spans[0].parent), (None, None));
    let (linked, span) = trace.spans[0].links[0];
    assert_eq!(format!("00-{linked}-{span}-00"), RECORDS_NOT);
}

#[test]
fn without_a_caller_the_ratio_decides_and_slow_failed_and_cancelled_runs_are_kept() {
    assert!(two_groups(None).trace(&sampling("1")).is_some());
    assert_eq!(two_groups(None).trace(&sampling("0")), None);
    let begin = || vec![(0, vec![received(None), started(0, "curves", 1)])];
    let ending = |ms, event| {
        let mut commits = begin();
        commits.push((ms, vec![event]));
        fold(commits).trace(&sampling("0"))
    };
    assert_eq!(ending(30_000, succeeded()), None);
    assert!(ending(30_001, succeeded()).is_some());
    assert!(ending(5, tasks_failed()).is_some());
    let cancelled = Event::Cancelled(Cancelled {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "a wrong curve".into(),
    });
    let trace = ending(5, cancelled).unwrap();
    assert_eq!(trace.spans[0].events[0].name, "cancelled");
    assert_eq!(trace.spans[0].error, None);
    assert_eq!(fold(begin()).trace(&sampling("1")), None, "it runs");
}

#[test]
fn the_figures_of_a_group_are_those_of_all_its_attempts() {
    let trace = two_groups(None).trace(&sampling("1")).unwrap();
    let group = &trace.spans[3];
    assert_eq!(group.name, "group bonds");
    for (name, expected) in [
        ("fanfold.tasks", 2),
        ("fanfold.tasks.succeeded", 2),
        ("fanfold.tasks.failed", 0),
        ("fanfold.attempts", 3),
        ("fanfold.attempts.retried", 1),
        ("fanfold.ran.p50_ms", 75),
        ("fanfold.ran.max_ms", 82),
        // The second attempt waited from the end of its delay, 390 ms after the commit.
        ("fanfold.queued.p50_ms", 5),
    ] {
        assert_eq!(number(group, name), expected, "{name}");
    }
}

#[test]
fn a_run_after_a_redrive_is_a_span_of_its_own_that_links_to_the_one_before() {
    let letter = Next::DeadLetter("letter".into());
    let mut commits = vec![
        (0, vec![received(None), started(0, "curves", 1)]),
        (
            40,
            vec![done(0, 1, 1, 6, 36), completed(0), started(1, "bonds", 2)],
        ),
        (
            90,
            vec![
                done(1, 1, 1, 45, 80),
                failed(1, 2, 1, (45, 80), letter),
                tasks_failed(),
            ],
        ),
    ];
    let first = fold(commits.clone()).trace(&sampling("0")).unwrap();
    assert_eq!(first.spans[0].error.as_deref(), Some("tasks-failed"));
    assert_eq!(first.spans[3].error.as_deref(), Some("tasks-failed"));
    commits.push((
        5_000,
        vec![Event::Redriven(Redriven {
            by: "ada".into(),
            on_behalf_of: None,
            reason: "the curve is there".into(),
            run: Run::new(1),
            group: Some(GroupIndex::new(1)),
            tasks: vec![TaskNumber::new(2)],
            task_count: None,
            deadline: at(900_000),
        })],
    ));
    commits.push((
        5_200,
        vec![done(1, 2, 2, 5_010, 5_190), completed(1), succeeded()],
    ));
    let second = fold(commits).trace(&sampling("0")).unwrap();
    assert_eq!(second.id, first.id);
    assert_eq!(second.spans[0].links, [(first.id, first.spans[0].id)]);
    let names: Vec<&str> = second.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["valuation", "group bonds", "process tasks.bond"]);
    assert_eq!(number(&second.spans[1], "fanfold.tasks"), 1);
    assert_eq!(second.spans[1].from, at(5_000));
    let ids = |trace: &Trace| {
        trace
            .spans
            .iter()
            .map(|span| span.id)
            .collect::<BTreeSet<_>>()
    };
    assert!(ids(&first).is_disjoint(&ids(&second)));
}

#[test]
fn results_that_a_fork_took_over_are_counted_and_are_no_spans() {
    let forked = Event::Forked(Forked {
        from: RequestId::of_key("a", "b"),
        sequence: Sequence::new(7),
        by: "ada".into(),
        on_behalf_of: None,
        reason: "a better market".into(),
    });
    let taken = vec![
        received(None),
        forked,
        started(0, "curves", 2),
        done(0, 1, 1, -900, -800),
    ];
    let trace = fold(vec![
        (0, taken),
        (50, vec![done(0, 2, 1, 10, 40), completed(0), succeeded()]),
    ]);
    let trace = trace.trace(&sampling("1")).unwrap();
    assert_eq!(trace.spans.len(), 3);
    assert_eq!(number(&trace.spans[1], "fanfold.tasks.taken_over"), 1);
    assert!(attribute(&trace.spans[0], "fanfold.forked.from").is_some());
}

#[test]
fn an_attempt_lies_between_the_start_of_its_group_and_its_commit_whatever_its_worker_says() {
    let trace = fold(vec![
        (0, vec![received(None), started(0, "curves", 2)]),
        (50, vec![done(0, 1, 1, -500, -450), done(0, 2, 1, 900, 940)]),
        (60, vec![completed(0), succeeded()]),
    ]);
    let trace = trace.trace(&sampling("1")).unwrap();
    let within = |span: &Span| (span.from, span.to);
    assert_eq!(within(&trace.spans[2]), (at(0), at(0)));
    assert_eq!(within(&trace.spans[3]), (at(50), at(50)));
}

#[test]
fn no_span_has_the_text_of_a_fault_or_the_name_of_a_person() {
    let fails = fold(vec![
        (0, vec![received(None), started(0, "curves", 1)]),
        (
            40,
            vec![
                failed(0, 1, 1, (5, 30), Next::DeadLetter("l".into())),
                tasks_failed(),
            ],
        ),
    ]);
    let text = format!("{:?}", fails.trace(&sampling("1")).unwrap());
    for secret in ["4711", "a secret", "ada", "1 of 2"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("exit-65"));
}

/// A request of 10,000 tasks in two groups. Every hundredth task is tried again once, and every
/// thousandth one is slow.
fn ten_thousand() -> Fold {
    let mut commits = vec![(0, vec![received(None), started(0, "curves", 5_000)])];
    for group in 0..2 {
        let begin = 10 + i64::from(group) * 100_000;
        for task in 1..=5_000 {
            let from = begin + i64::from(task);
            if task % 100 == 0 {
                let next = Next::RetryAt(at(from + 10));
                commits.push((
                    from + 5,
                    vec![failed(group, task, 1, (from, from + 3), next)],
                ));
            }
            let ran = if task % 1_000 == 0 { 5_000 } else { 20 };
            let attempt = if task % 100 == 0 { 2 } else { 1 };
            let done = done(group, task, attempt, from + 30, from + 30 + ran);
            commits.push((from + 60 + ran, vec![done]));
        }
        let end = begin + 50_000;
        let next = if group == 0 {
            started(1, "bonds", 5_000)
        } else {
            succeeded()
        };
        commits.push((end, vec![completed(group), next]));
    }
    fold(commits)
}

#[test]
fn the_trace_of_ten_thousand_tasks_has_at_most_1010_spans_and_shows_what_stands_out() {
    let trace = ten_thousand().trace(&sampling("1")).unwrap();
    assert_eq!(trace.spans.len(), 1_003);
    let attempts = trace
        .spans
        .iter()
        .filter(|span| span.kind == Kind::Consumer);
    let attempts: Vec<&Span> = attempts.collect();
    let failed = attempts.iter().filter(|span| span.error.is_some()).count();
    let slow = attempts
        .iter()
        .filter(|span| millis(span.from, span.to) >= 5_000);
    assert_eq!((attempts.len(), failed, slow.count()), (1_000, 100, 10));
    for span in &attempts {
        assert_eq!(number(span, "fanfold.sample.of"), 5_050);
    }
    for (group, span) in [
        (0, &trace.spans[1]),
        (
            1,
            trace
                .spans
                .iter()
                .find(|s| s.name == "group bonds")
                .unwrap(),
        ),
    ] {
        assert_eq!(number(span, "fanfold.tasks.succeeded"), 5_000);
        assert_eq!(number(span, "fanfold.attempts.retried"), 50);
        assert_eq!(number(span, "fanfold.ran.max_ms"), 5_000);
        let of_group = attempts
            .iter()
            .filter(|span| number(span, "fanfold.group") == group);
        let tasks: BTreeSet<i64> = of_group.map(|span| number(span, "fanfold.task")).collect();
        // The even sample reaches all parts of the group, and its ends are there.
        assert!(tasks.contains(&1) && tasks.contains(&5_000));
        for part in 0..10 {
            let some = tasks.range(part * 500..(part + 1) * 500).count();
            assert!(some >= 10, "{part}: {some}");
        }
    }
}

#[test]
fn failures_of_every_task_leave_room_for_the_attempts_that_succeeded() {
    let begin = vec![received(None), started(0, "curves", 2_000)];
    let mut commits = vec![(0, begin)];
    for task in 1..=2_000 {
        let letter = Next::DeadLetter("l".into());
        commits.push((50, vec![failed(0, task, 1, (1, 2), letter)]));
        commits.push((50, vec![done(0, task, 2, 3, 4)]));
    }
    commits.push((60, vec![tasks_failed()]));
    let trace = fold(commits).trace(&sampling("0")).unwrap();
    let failed = trace
        .spans
        .iter()
        .filter(|span| span.kind == Kind::Consumer && span.error.is_some());
    assert_eq!(trace.spans.len(), 1_002);
    assert!((500..700).contains(&failed.count()));
}

#[test]
fn a_request_of_very_many_groups_shows_some_and_the_attempts_of_the_others_hang_under_the_run() {
    let mut commits = vec![(0, vec![received(None)])];
    for group in 0..3_000 {
        let ms = i64::from(group);
        commits.push((ms, vec![started(group, "g", 1)]));
        commits.push((ms, vec![done(group, 1, 1, ms, ms), completed(group)]));
    }
    commits.push((3_000, vec![succeeded()]));
    let trace = fold(commits).trace(&sampling("1")).unwrap();
    assert_eq!(trace.spans.len(), 1 + GROUPS_MAX + ATTEMPTS_MAX);
    let ids: BTreeSet<SpanId> = trace.spans.iter().map(|span| span.id).collect();
    let parents = trace.spans.iter().filter_map(|span| span.parent);
    assert!(parents.into_iter().all(|parent| ids.contains(&parent)));
}
