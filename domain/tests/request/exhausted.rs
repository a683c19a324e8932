//! A worker counts deliveries, and the policy counts recorded failures.

use std::time::Duration;

use domain::request::{
    AttemptNumber, Event, Report, RequestId, RetryPolicy, State, evolve, given_up_early,
};

use crate::words::*;

/// Returns the places of the reports that give a task up too early. The policy has three attempts.
fn goes_on(events: &[Event], reports: &[Report]) -> Vec<usize> {
    let state = events.iter().fold(State::default(), evolve);
    let policy = RetryPolicy::default();
    let id = RequestId::new(uuid::Uuid::nil());
    let request = state.request().unwrap();
    let early = given_up_early(id, request, reports, |_| Some(&policy));
    assert!(early.iter().all(|(_, delay)| *delay > Duration::ZERO));
    early.into_iter().map(|(place, _)| place).collect()
}

fn exhausted(attempt: u32) -> Report {
    let Report::Outcome(mut outcome) = given_up(0, 1, attempt) else {
        panic!("a task that is given up is an outcome");
    };
    outcome.exhausted = true;
    Report::Outcome(outcome)
}

fn failed(attempts: &[u32]) -> Vec<Event> {
    let mut events = vec![received(), started(0, 2)];
    events.extend(attempts.iter().map(|n| taken_down(again(0, 1, *n))));
    events
}

#[test]
fn three_recorded_failures_end_a_task_whatever_their_numbers() {
    assert!(goes_on(&failed(&[1, 2]), &[exhausted(3)]).is_empty());
    assert!(goes_on(&failed(&[4, 9]), &[exhausted(11)]).is_empty());
}

#[test]
fn deliveries_that_recorded_no_failure_are_no_attempts() {
    assert_eq!(goes_on(&failed(&[]), &[exhausted(3)]), [0]);
    assert_eq!(goes_on(&failed(&[4]), &[exhausted(7)]), [0]);
}

#[test]
fn failures_that_are_reported_together_count_together() {
    let reports = [again(0, 1, 2), again(0, 1, 3), exhausted(4)];
    assert!(goes_on(&failed(&[]), &reports).is_empty());
    assert_eq!(goes_on(&failed(&[]), &reports[1..]), [1]);
}

#[test]
fn a_task_that_is_given_up_for_another_reason_stays_given_up() {
    assert!(goes_on(&failed(&[]), &[given_up(0, 1, 3)]).is_empty());
}

#[test]
fn a_report_that_was_recorded_before_changes_nothing() {
    assert!(goes_on(&failed(&[1]), &[exhausted(1)]).is_empty());
}

#[test]
fn failures_before_a_redrive_do_not_count_after_it() {
    let mut events = failed(&[1, 2]);
    events.push(taken_down(given_up(0, 1, 3)));
    events.push(taken_down(ok(0, 2, 1)));
    events.push(tasks_failed(0, 2, vec![dead(0, 1, [1, 2, 3])]));
    events.push(redriven(1, Some(0), &[1], 3));
    assert!(
        goes_on(&events, &[exhausted(3)]).is_empty(),
        "it is of the run before"
    );
    assert_eq!(goes_on(&events, &[exhausted(6)]), [0]);
    let number = AttemptNumber::new(3);
    let state = events.iter().fold(State::default(), evolve);
    let group = state.request().unwrap().running().unwrap();
    assert_eq!(
        group
            .task(domain::request::TaskNumber::FIRST)
            .unwrap()
            .earlier_attempts(),
        number
    );
}
