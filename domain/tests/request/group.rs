use domain::request::{Command, Event, GroupIndex, GroupStarted, Status};

use crate::story::given;
use crate::words::*;

#[test]
fn a_received_request_asks_for_its_steps_and_starts_its_first_group() {
    let request = given([received()])
        .when(advance(0, [], []))
        .then_needs_steps(0)
        .when(advance(0, [], [group(2)]))
        .then([started(0, 2)])
        .when(advance(0, [], [group(2)]))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Running);
}

#[test]
fn a_group_that_runs_waits_for_all_its_tasks() {
    given([received(), started(0, 2)])
        .when(advance(0, [], []))
        .then_nothing()
        .when(reported([ok(0, 2, 1)]))
        .then([taken_down(ok(0, 2, 1))])
        .when(reported([ok(0, 2, 1)]))
        .then_nothing();
}

#[test]
fn the_last_outcome_the_end_of_the_group_and_the_start_of_the_next_are_one_commit() {
    let last = || [ok(0, 1, 1)];
    let request = given([received(), started(0, 2), taken_down(ok(0, 2, 1))])
        .when(reported(last()))
        .then_needs_steps(1)
        .when(advance(1, last(), [group(3)]))
        .then([taken_down(ok(0, 1, 1)), completed(0), started(1, 3)])
        .when(advance(1, last(), [group(3)]))
        .then_nothing();
    let results = &request.request().completed;
    assert_eq!(results, &[vec![result(0, 1), result(0, 2)]]);
}

#[test]
fn a_request_succeeds_with_the_last_outcome_of_its_last_group() {
    let last = || advance(1, [ok(0, 1, 1)], [Step::Response(response())]);
    let request = given([received(), started(0, 1)])
        .when(last())
        .then([taken_down(ok(0, 1, 1)), completed(0), succeeded()])
        .when(last())
        .then_nothing();
    assert_eq!(request.request().status(), Status::Succeeded);
}

#[test]
fn outcomes_that_are_there_together_are_one_commit_in_the_order_they_came() {
    let all = || [ok(0, 3, 1), again(0, 1, 1), ok(0, 2, 1)];
    given([received(), started(0, 3)])
        .when(reported(all()))
        .then(all().map(taken_down))
        .when(reported(all()))
        .then_nothing();
}

#[test]
fn steps_that_were_worked_out_before_the_request_went_on_are_not_taken() {
    let both = || [ok(0, 1, 1), ok(1, 1, 1)];
    given([received(), started(0, 1)])
        .and([taken_down(ok(0, 1, 1)), completed(0), started(1, 1)])
        .when(advance(1, both(), [group(1)]))
        .then_needs_steps(2)
        .when(advance(2, both(), [Step::Response(response())]))
        .then([taken_down(ok(1, 1, 1)), completed(1), succeeded()])
        .when(advance(2, both(), [Step::Response(response())]))
        .then_nothing();
}

#[test]
fn a_group_without_tasks_is_complete_as_soon_as_it_starts() {
    let steps = || [group(0), group(0), group(2)];
    let request = given([received()])
        .when(advance(0, [], steps()))
        .then([
            started(0, 0),
            completed(0),
            started(1, 0),
            completed(1),
            started(2, 2),
        ])
        .when(advance(0, [], steps()))
        .then_nothing();
    assert_eq!(request.request().completed, [vec![], vec![]]);
}

#[test]
fn a_request_of_empty_groups_only_succeeds_at_once() {
    let steps = || [group(0), Step::Response(response())];
    given([received()])
        .when(advance(0, [], steps()))
        .then([started(0, 0), completed(0), succeeded()])
        .when(advance(0, [], steps()))
        .then_nothing();
}

#[test]
fn a_request_without_groups_succeeds_at_once() {
    let steps = || [Step::Response(response())];
    given([received()])
        .when(advance(0, [], steps()))
        .then([succeeded()])
        .when(advance(0, [], steps()))
        .then_nothing();
}

#[test]
fn an_empty_group_between_two_others_is_passed_in_the_same_commit() {
    let steps = || [group(0), group(1)];
    given([received(), started(0, 1)])
        .when(advance(1, [ok(0, 1, 1)], steps()))
        .then([
            taken_down(ok(0, 1, 1)),
            completed(0),
            started(1, 0),
            completed(1),
            started(2, 1),
        ])
        .when(advance(1, [ok(0, 1, 1)], steps()))
        .then_nothing();
}

#[test]
fn a_document_that_cannot_be_taken_further_ends_the_request_between_groups() {
    let last = || advance(1, [ok(0, 1, 1)], [Step::Failure(unreadable())]);
    let request = given([received(), started(0, 1)])
        .when(last())
        .then([taken_down(ok(0, 1, 1)), completed(0), failed(unreadable())])
        .when(last())
        .then_nothing();
    assert_eq!(request.request().group(), None);
    assert_eq!(request.request().completed, [vec![result(0, 1)]]);
}

#[test]
fn a_document_that_cannot_be_read_ends_the_request_before_its_first_group() {
    given([received()])
        .when(advance(0, [], [Step::Failure(unreadable())]))
        .then([failed(unreadable())])
        .when(advance(0, [], [Step::Failure(unreadable())]))
        .then_nothing();
}

#[test]
fn a_group_keeps_its_name_and_its_deadline_is_its_own() {
    let Command::Advance(mut late) = advance(0, [], []) else {
        panic!("an advance is an advance");
    };
    late.now = at(60);
    late.steps = in_order(0, [Step::Group(Some("bonds".into()), 1)]);
    let request = given([received()])
        .when(Command::Advance(late.clone()))
        .then([Event::GroupStarted(GroupStarted {
            group: GroupIndex::FIRST,
            name: Some("bonds".into()),
            tasks: 1,
            deadline: at(960),
        })])
        .when(Command::Advance(late))
        .then_nothing();
    assert_eq!(request.request().running().unwrap().deadline, at(960));
}
