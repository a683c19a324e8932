//! The events as the log stores them. `tests/golden/events` has the body of a commit for each kind
//! of event. Every build reads them to the same values and writes them back unchanged. A change of
//! form adds a file, and never changes an existing one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use domain::request::{
    Effect, Event, EventKind, Failure, Forked, Given, GroupIndex, GroupOutline, GroupStarted,
    Payload, Received, ResourcesCaptured, Sequence, Succeeded, TaskFailed, TaskSucceeded, evolve,
    react,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::arbitrary;
use crate::story::given;
use crate::words::*;

const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/events")
}

fn stored(size: u64) -> Payload {
    let sha256 = SHA256.into();
    Payload::Stored { sha256, size }
}

fn received_with_everything() -> Event {
    Event::Received(Box::new(Received {
        document: stored(70_000),
        idempotency_key: Some("run-2026-09-21".into()),
        groups: vec![
            GroupOutline {
                name: Some("bonds".into()),
                valuations: 2,
            },
            GroupOutline {
                name: None,
                valuations: 0,
            },
        ],
        ..document("f1")
    }))
}

fn received_in_a_trace() -> Event {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
    Event::Received(Box::new(Received {
        traceparent: traceparent.ok(),
        ..document("f1")
    }))
}

fn received_in_a_trace_with_state() -> Event {
    let Event::Received(mut received) = received_in_a_trace() else {
        panic!("it is received");
    };
    received.tracestate = "rojo=00f067aa0ba902b7,ot=th:8".parse().ok();
    Event::Received(received)
}

fn received_of_a_tenant() -> Event {
    Event::Received(Box::new(Received {
        tenant: "desk-2".parse().unwrap(),
        ..document("f1")
    }))
}

fn received_with_the_least() -> Event {
    Event::Received(Box::new(Received {
        groups: vec![],
        metadata: [].into(),
        ..document("f1")
    }))
}

fn named_group_started() -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: Some("bonds".into()),
        tasks: 2,
        deadline: deadline(),
    })
}

fn big_result() -> Event {
    let Event::TaskSucceeded(task) = taken_down(ok(1, 2, 3)) else {
        panic!("it succeeded");
    };
    Event::TaskSucceeded(TaskSucceeded {
        result: stored(1_234_567),
        ..task
    })
}

/// An outcome whose worker reported the hash of its document.
fn knowing(event: Event) -> Event {
    let told = Some(Given {
        task_type: "bonds".into(),
        sha256: Some(SHA256.into()),
    });
    match event {
        Event::TaskSucceeded(task) => Event::TaskSucceeded(TaskSucceeded {
            given: told,
            ..task
        }),
        Event::TaskFailed(task) => Event::TaskFailed(TaskFailed {
            given: told,
            ..task
        }),
        other => panic!("not an outcome: {other:?}"),
    }
}

fn forked() -> Event {
    Event::Forked(Forked {
        from: "0199e0a1-2b3c-7d4e-8f50-617283940516".parse().unwrap(),
        sequence: Sequence::new(1_042),
        by: "ada".into(),
        on_behalf_of: None,
        reason: "the market was wrong".into(),
    })
}

/// Every file with its events.
fn golden() -> Vec<(&'static str, Vec<Event>)> {
    let one = |name, event| (name, vec![event]);
    let resources = vec![resource("s3://market/curves.xml")];
    let group_fails = Failure {
        group: Some(GroupIndex::new(1)),
        ..unreadable()
    };
    let very_many_fail = Failure {
        task_count: Some(1_000_000),
        truncated: true,
        ..group_fails.clone()
    };
    let mut counted = redriven(1, Some(0), &[2, 3], 60);
    if let Event::Redriven(redriven) = &mut counted {
        redriven.task_count = Some(1_001);
    }
    vec![
        one("received", received_with_everything()),
        one("received-least", received_with_the_least()),
        one("received-traced", received_in_a_trace()),
        one("received-traced-state", received_in_a_trace_with_state()),
        one("received-of-a-tenant", received_of_a_tenant()),
        one(
            "resources-captured",
            Event::ResourcesCaptured(ResourcesCaptured { resources }),
        ),
        one("group-started", named_group_started()),
        one("group-started-nameless", started(1, 0)),
        one("task-succeeded", taken_down(ok(0, 1, 1))),
        one("task-succeeded-stored", big_result()),
        one("task-succeeded-given", knowing(taken_down(ok(0, 1, 1)))),
        one("task-failed-given", knowing(taken_down(again(0, 1, 1)))),
        one("task-failed-retried", taken_down(again(0, 1, 1))),
        one("task-failed-given-up", taken_down(given_up(0, 1, 3))),
        one(
            "group-timed-out",
            Event::GroupTimedOut {
                group: GroupIndex::new(1),
            },
        ),
        one("group-completed", completed(1)),
        one("succeeded", succeeded()),
        one(
            "succeeded-stored",
            Event::Succeeded(Succeeded {
                response: stored(2_000_000),
            }),
        ),
        one(
            "failed",
            tasks_failed(0, 3, vec![dead(0, 2, [1, 2, 3]), open(3, [])]),
        ),
        one("failed-between-groups", failed(unreadable())),
        one("failed-in-a-group", failed(group_fails)),
        one("failed-truncated", failed(very_many_fail)),
        one("cancelled", cancelled()),
        one("redriven", redriven(1, Some(0), &[2, 3], 60)),
        one("redriven-counted", counted),
        one("redriven-between-groups", redriven(2, None, &[], 60)),
        one("forked", forked()),
        (
            "commit-of-several",
            vec![
                taken_down(ok(0, 1, 2)),
                taken_down(ok(0, 2, 1)),
                completed(0),
                started(1, 0),
                completed(1),
                started(2, 3),
            ],
        ),
    ]
}

#[test]
fn every_stored_event_is_read_and_written_back_unchanged() {
    for (name, expected) in golden() {
        let path = folder().join(format!("{name}.json"));
        let json = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let events: Vec<Event> =
            serde_json::from_str(&json).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(events, expected, "{name}");
        let kept: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_value(&events).unwrap(), kept, "{name}");
    }
}

#[test]
fn no_stored_event_is_left_untested() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let golden = golden().into_iter().map(|(name, _)| format!("{name}.json"));
    assert_eq!(files, golden.collect());
}

#[test]
fn every_kind_of_event_is_among_the_stored_ones_under_its_name() {
    for (name, events) in golden() {
        let value = serde_json::to_value(&events).unwrap();
        for (event, value) in events.iter().zip(value.as_array().unwrap()) {
            let tags: Vec<&String> = value.as_object().unwrap().keys().collect();
            assert_eq!(tags, [event.name()], "{name}");
        }
    }
    let stored: BTreeSet<&str> = golden()
        .iter()
        .flat_map(|(_, events)| events.iter().map(Event::name))
        .collect();
    let all: BTreeSet<&str> = EventKind::all().map(EventKind::name).collect();
    assert_eq!(stored, all);
}

#[test]
fn an_unknown_field_of_a_later_build_is_ignored() {
    let json = r#"[{"group-completed": {"group": 1, "tookMs": 12}}]"#;
    let events: Vec<Event> = serde_json::from_str(json).unwrap();
    assert_eq!(events, [completed(1)]);
}

#[test]
fn an_invalid_stored_traceparent_or_tracestate_leaves_the_event_readable() {
    let whole = serde_json::to_string(&[received_in_a_trace_with_state()]).unwrap();
    let broken = whole.replace("00-4bf9", "00-4bf9\\r\\n");
    let broken = broken.replace("rojo=", "rojo=\\r\\n");
    let events: Vec<Event> = serde_json::from_str(&broken).unwrap();
    let without = Event::Received(Box::new(document("f1")));
    assert_eq!(events, [without]);
}

proptest! {
    #[test]
    fn any_event_survives_the_way_into_the_log_and_back(event in arbitrary::event()) {
        let json = serde_json::to_vec(&[&event]).unwrap();
        let back: Vec<Event> = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(back, [event]);
    }

    #[test]
    fn any_event_can_follow_any_other_and_an_ended_request_starts_nothing(
        events in prop::collection::vec(arbitrary::small_event(), 0..20),
    ) {
        let mut state = given([received()]).0;
        for event in events {
            let before = state.revision();
            state = evolve(state, &event);
            prop_assert_eq!(state.revision(), before + 1);
            let ended = state.request().is_some_and(|r| r.status().is_terminal());
            let starts = react(&state, &event).into_iter().any(|effect| {
                use Effect::{Advance, Dispatch, DispatchMore};
                matches!(effect, Advance | Dispatch { .. } | DispatchMore { .. })
            });
            prop_assert!(!(ended && starts));
        }
    }
}
