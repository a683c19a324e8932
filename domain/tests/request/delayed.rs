use std::collections::HashMap;

use domain::request::{Event, GroupIndex, TaskNumber, delayed};

use crate::words::*;

fn failed_once() -> Vec<Event> {
    vec![received(), started(0, 2), taken_down(again(0, 1, 1))]
}

/// Whether no task waits a second before the retries of [`again`] are due.
fn nothing_waits_after(last: Event) -> bool {
    let mut events = failed_once();
    events.push(last);
    delayed(&events, at(4)).is_empty()
}

#[test]
fn a_task_whose_last_attempt_failed_waits_until_its_retry_is_due() {
    let events = failed_once();
    let task = (GroupIndex::FIRST, TaskNumber::FIRST);
    assert_eq!(delayed(&events, at(4)), HashMap::from([(task, at(5))]));
    assert!(delayed(&events, at(5)).is_empty(), "it is due");
}

#[test]
fn a_task_that_has_ended_waits_for_nothing() {
    assert!(nothing_waits_after(taken_down(ok(0, 1, 2))));
    assert!(nothing_waits_after(taken_down(given_up(0, 1, 2))));
}

#[test]
fn a_redriven_task_does_not_wait_for_its_retry_delay() {
    assert!(nothing_waits_after(redriven(1, Some(0), &[1], 3)));
}
