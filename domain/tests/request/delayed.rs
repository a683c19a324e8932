use std::collections::HashMap;

use domain::request::{Event, GroupIndex, TaskNumber, delayed};
use jiff::Timestamp;

use crate::words::*;

fn failed_once() -> Vec<Event> {
    vec![received(), started(0, 2), taken_down(again(0, 1, 1))]
}

/// The end of the task's delay where the log stored its events in second `stored`.
fn waits(events: &[Event], stored: i64) -> HashMap<(GroupIndex, TaskNumber), Timestamp> {
    delayed(events.iter().map(|event| (at(stored), event)))
}

/// Adds an event after a failure with a delay. Returns true if no task waits any more.
fn nothing_waits_after(last: Event) -> bool {
    let mut events = failed_once();
    events.push(last);
    waits(&events, 4).is_empty()
}

#[test]
fn a_task_whose_last_attempt_failed_waits_for_its_delay() {
    let task = (GroupIndex::FIRST, TaskNumber::FIRST);
    // The worker began in second 1, ran for 20 ms and asked for another attempt in second 5.
    let due = at(2) + std::time::Duration::from_millis(3_980);
    assert_eq!(waits(&failed_once(), 2), HashMap::from([(task, due)]));
}

#[test]
fn a_worker_whose_clock_is_an_hour_off_delays_a_retry_no_longer() {
    let task = (GroupIndex::FIRST, TaskNumber::FIRST);
    let due = at(3_600) + std::time::Duration::from_millis(3_980);
    assert_eq!(waits(&failed_once(), 3_600), HashMap::from([(task, due)]));
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
