//! Outcomes after the end are recorded and change nothing.

use domain::request::{Event, Status};

use crate::story::{Given, given};
use crate::words::*;

fn ended(end: Event) -> Given {
    given([
        received(),
        started(0, 3),
        taken_down(given_up(0, 1, 1)),
        end,
    ])
}

#[test]
fn an_outcome_after_a_failure_is_recorded_once_and_the_request_stays_failed() {
    let failure = || tasks_failed(0, 3, vec![dead(0, 1, [1])]);
    let late = || [ok(0, 2, 1), given_up(0, 3, 1)];
    let before = ended(failure());
    let after = before
        .clone()
        .when(reported(late()))
        .then(late().map(taken_down))
        .when(reported(late()))
        .then_nothing();
    let Event::Failed(failed) = failure() else {
        panic!("it failed");
    };
    let domain::request::Phase::Failed { failure, group } = &after.request().phase else {
        panic!("it is still failed");
    };
    assert_eq!(failure, &failed.failure);
    let group = group.as_ref().unwrap();
    assert_eq!((group.succeeded, group.failed), (1, 2));
    assert_eq!(after.request().completed, before.request().completed);
}

#[test]
fn an_outcome_after_a_cancellation_is_recorded_once_and_the_request_stays_cancelled() {
    let late = || [ok(0, 2, 1), again(0, 3, 1)];
    let request = ended(cancelled())
        .when(reported(late()))
        .then(late().map(taken_down))
        .when(reported(late()))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Cancelled);
}

#[test]
fn all_tasks_ending_late_complete_nothing() {
    let late = || [ok(0, 1, 1), ok(0, 2, 1)];
    let request = given([received(), started(0, 2), cancelled()])
        .when(advance(1, late(), [group(1)]))
        .then(late().map(taken_down))
        .when(advance(1, late(), [group(1)]))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Cancelled);
    assert!(request.request().completed.is_empty());
}

#[test]
fn all_tasks_given_up_late_fail_nothing() {
    let late = || [given_up(0, 1, 1)];
    let request = given([received(), started(0, 1), cancelled()])
        .when(reported(late()))
        .then(late().map(taken_down))
        .when(reported(late()))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Cancelled);
}

#[test]
fn nothing_is_left_to_come_after_a_success() {
    let history = [
        started(0, 1),
        taken_down(ok(0, 1, 2)),
        completed(0),
        succeeded(),
    ];
    given([received()])
        .and(history)
        .when(reported([ok(0, 1, 1), again(0, 1, 1), given_up(0, 1, 3)]))
        .then_nothing();
}

#[test]
fn a_late_outcome_of_a_task_that_has_ended_is_not_recorded() {
    ended(cancelled())
        .when(reported([
            ok(0, 1, 2),
            given_up(0, 1, 1),
            given_up(0, 1, 2),
        ]))
        .then_nothing();
}

#[test]
fn an_event_about_another_group_or_no_task_leaves_the_group_as_it_is() {
    let running = given([received(), started(1, 2)]);
    let group = running.request().running().cloned();
    let strange = [ok(0, 1, 1), given_up(2, 1, 1), ok(1, 0, 1), again(1, 3, 1)];
    let after = running.and(strange.map(taken_down));
    assert_eq!(after.request().running().cloned(), group);
}
