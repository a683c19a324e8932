use domain::request::{Event, FailedTask, Failure, GroupIndex, Report, Run, Status};
use jiff::Timestamp;

use crate::story::given;
use crate::words::*;

fn group_fires(group: u32, deadline: Timestamp) -> Report {
    Report::GroupTimedOut {
        group: GroupIndex::new(group),
        deadline,
    }
}

pub fn request_fires(run: u32) -> Report {
    Report::RequestTimedOut { run: Run::new(run) }
}

fn timed_out(of: u32, deadline: Timestamp, tasks: Vec<FailedTask>) -> [Event; 2] {
    let failure = Failure {
        code: "group-timed-out".into(),
        message: format!(
            "group 0 was not complete at its deadline, {deadline}: {} of {of} tasks have no result",
            tasks.len()
        ),
        group: Some(GroupIndex::FIRST),
        tasks,
        redrive_may_help: true,
        ..Failure::default()
    };
    [
        Event::GroupTimedOut {
            group: GroupIndex::FIRST,
        },
        failed(failure),
    ]
}

#[test]
fn a_group_that_times_out_fails_with_every_task_that_has_no_result() {
    let fires = || reported([group_fires(0, deadline())]);
    let history = [ok(0, 1, 1), given_up(0, 2, 1), again(0, 3, 1)].map(taken_down);
    let tasks = vec![dead(0, 2, [1]), open(3, [1]), open(4, [])];
    let request = given([received(), started(0, 4)])
        .and(history)
        .when(fires())
        .then(timed_out(4, deadline(), tasks))
        .when(fires())
        .then_nothing();
    assert_eq!(request.request().status(), Status::Failed);
}

#[test]
fn outcomes_in_one_batch_with_the_timeout_are_counted_first() {
    let [timed_out, failure] = timed_out(2, deadline(), vec![open(2, [1])]);
    let reports = || reported([group_fires(0, deadline()), ok(0, 1, 1), again(0, 2, 1)]);
    given([received(), started(0, 2)])
        .when(reports())
        .then([
            taken_down(ok(0, 1, 1)),
            taken_down(again(0, 2, 1)),
            timed_out,
            failure,
        ])
        .when(reports())
        .then_nothing();
}

#[test]
fn a_group_whose_last_outcome_comes_with_the_timeout_is_complete() {
    let reports = || [group_fires(0, deadline()), ok(0, 1, 1)];
    given([received(), started(0, 1)])
        .when(advance(1, reports(), [group(1)]))
        .then([taken_down(ok(0, 1, 1)), completed(0), started(1, 1)])
        .when(advance(1, reports(), [group(1)]))
        .then_nothing();
}

#[test]
fn the_timeout_of_a_complete_group_changes_nothing() {
    given([received(), started(0, 1), taken_down(ok(0, 1, 1))])
        .and([completed(0), started(1, 1)])
        .when(reported([group_fires(0, deadline())]))
        .then_nothing();
}

#[test]
fn a_timeout_from_before_a_redrive_changes_nothing() {
    let fires = || reported([group_fires(0, deadline())]);
    given([received(), started(0, 1), taken_down(given_up(0, 1, 1))])
        .and([tasks_failed(0, 1, vec![dead(0, 1, [1])])])
        .and([redriven(1, Some(0), &[1], 60)])
        .when(fires())
        .then_nothing()
        .when(reported([group_fires(0, at(960))]))
        .then(timed_out(1, at(960), vec![open(1, [1])]))
        .when(reported([group_fires(0, at(960))]))
        .then_nothing();
}

#[test]
fn a_timeout_after_the_end_changes_nothing() {
    let fire = || [group_fires(0, deadline()), request_fires(0)];
    for end in [failed(unreadable()), cancelled()] {
        given([received(), started(0, 1), end])
            .when(reported(fire()))
            .then_nothing();
    }
    given([received(), succeeded()])
        .when(reported(fire()))
        .then_nothing();
}

#[test]
fn a_request_that_times_out_fails_with_the_group_that_runs() {
    let fires = || reported([request_fires(0)]);
    given([received(), started(0, 2), taken_down(ok(0, 1, 1))])
        .when(fires())
        .then([request_timed_out(Some(0), vec![open(2, [])])])
        .when(fires())
        .then_nothing();
}

#[test]
fn a_request_that_times_out_while_it_is_planned_fails_without_a_group() {
    given([received()])
        .when(reported([request_fires(0)]))
        .then([request_timed_out(None, vec![])])
        .when(reported([request_fires(0)]))
        .then_nothing();
}

#[test]
fn the_request_timeout_of_another_run_changes_nothing() {
    given([received(), started(0, 1), taken_down(given_up(0, 1, 1))])
        .and([tasks_failed(0, 1, vec![dead(0, 1, [1])])])
        .and([redriven(1, Some(0), &[1], 60)])
        .when(reported([request_fires(0), request_fires(2)]))
        .then_nothing()
        .when(reported([request_fires(1)]))
        .then([request_timed_out(Some(0), vec![open(1, [1])])])
        .when(reported([request_fires(1)]))
        .then_nothing();
}

#[test]
fn a_planned_request_is_not_timed_out_by_an_earlier_run() {
    given([received(), failed(unreadable())])
        .and([redriven(1, None, &[], 60)])
        .when(reported([request_fires(0)]))
        .then_needs_steps(0);
}

#[test]
fn a_request_timeout_at_the_end_of_a_group_starts_no_further_group() {
    let reports = || [ok(0, 1, 1), request_fires(0)];
    given([received(), started(0, 1)])
        .when(advance(1, reports(), [group(0), group(1)]))
        .then([
            taken_down(ok(0, 1, 1)),
            completed(0),
            request_timed_out(None, vec![]),
        ])
        .when(advance(1, reports(), [group(0), group(1)]))
        .then_nothing();
}

#[test]
fn a_request_that_finishes_as_it_times_out_has_succeeded() {
    let reports = || [request_fires(0), ok(0, 1, 1)];
    let steps = || [Step::Response(response())];
    given([received(), started(0, 1)])
        .when(advance(1, reports(), steps()))
        .then([taken_down(ok(0, 1, 1)), completed(0), succeeded()])
        .when(advance(1, reports(), steps()))
        .then_nothing();
}

#[test]
fn a_request_ends_once_when_it_times_out_together_with_its_group() {
    let reports = || reported([request_fires(0), group_fires(0, deadline())]);
    given([received(), started(0, 1)])
        .when(reports())
        .then(timed_out(1, deadline(), vec![open(1, [])]))
        .when(reports())
        .then_nothing();
}
