use domain::request::{
    Command, Event, GroupIndex, Next, Report, Rules, Status, TaskFailed, TaskNumber,
};

use crate::story::given;
use crate::words::*;

fn failing_fast(reports: impl IntoIterator<Item = Report>) -> Command {
    let Command::Advance(mut advance) = reported(reports) else {
        panic!("a report is an advance");
    };
    advance.rules = Rules {
        fail_fast: true,
        ..RULES
    };
    Command::Advance(advance)
}

#[test]
fn a_failed_attempt_is_recorded_and_the_task_continues() {
    let request = given([received(), started(0, 1)])
        .when(reported([again(0, 1, 1)]))
        .then([taken_down(again(0, 1, 1))])
        .when(reported([again(0, 1, 1)]))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Running);
}

#[test]
fn a_task_that_fails_twice_may_still_succeed() {
    let request = given([received(), started(0, 1)])
        .when(reported([again(0, 1, 1), again(0, 1, 2)]))
        .then([taken_down(again(0, 1, 1)), taken_down(again(0, 1, 2))])
        .when(advance(1, [ok(0, 1, 3)], [group(1)]))
        .then([taken_down(ok(0, 1, 3)), completed(0), started(1, 1)])
        .when(advance(1, [ok(0, 1, 3)], [group(1)]))
        .then_nothing();
    assert_eq!(request.request().completed, [vec![result(0, 1)]]);
}

#[test]
fn the_last_task_given_up_ends_the_request_with_every_attempt() {
    let last = || reported([given_up(0, 1, 3)]);
    let history = [again(0, 1, 1), again(0, 1, 2)].map(taken_down);
    let request = given([received(), started(0, 1)])
        .and(history)
        .when(last())
        .then([
            taken_down(given_up(0, 1, 3)),
            tasks_failed(0, 1, vec![dead(0, 1, [1, 2, 3])]),
        ])
        .when(last())
        .then_nothing();
    assert_eq!(request.request().status(), Status::Failed);
}

#[test]
fn the_siblings_of_a_task_given_up_finish_and_keep_their_results() {
    let request = given([received(), started(0, 3)])
        .when(reported([given_up(0, 2, 1)]))
        .then([taken_down(given_up(0, 2, 1))])
        .when(reported([given_up(0, 2, 1)]))
        .then_nothing()
        .when(reported([ok(0, 1, 1)]))
        .then([taken_down(ok(0, 1, 1))])
        .when(reported([ok(0, 3, 1)]))
        .then([
            taken_down(ok(0, 3, 1)),
            tasks_failed(0, 3, vec![dead(0, 2, [1])]),
        ])
        .when(reported([ok(0, 3, 1)]))
        .then_nothing();
    assert_eq!(request.request().group().unwrap().succeeded, 2);
}

#[test]
fn with_fail_fast_the_first_task_given_up_ends_the_request() {
    let first = || failing_fast([again(0, 1, 1), given_up(0, 2, 1)]);
    let request = given([received(), started(0, 3)])
        .when(first())
        .then([
            taken_down(again(0, 1, 1)),
            taken_down(given_up(0, 2, 1)),
            tasks_failed(0, 3, vec![dead(0, 2, [1])]),
        ])
        .when(first())
        .then_nothing();
    assert_eq!(request.request().group().unwrap().pending().count(), 2);
}

#[test]
fn an_earlier_failure_ends_the_request_once_fail_fast_applies() {
    given([received(), started(0, 2), taken_down(given_up(0, 1, 1))])
        .when(failing_fast([]))
        .then([tasks_failed(0, 2, vec![dead(0, 1, [1])])])
        .when(failing_fast([]))
        .then_nothing();
}

#[test]
fn with_fail_fast_a_group_without_a_failure_continues() {
    given([received(), started(0, 2)])
        .when(failing_fast([again(0, 1, 1), ok(0, 2, 1)]))
        .then([taken_down(again(0, 1, 1)), taken_down(ok(0, 2, 1))])
        .when(failing_fast([again(0, 1, 1), ok(0, 2, 1)]))
        .then_nothing();
}

#[test]
fn an_outcome_delivered_twice_in_one_batch_is_recorded_once() {
    let twice = [ok(0, 1, 1), ok(0, 1, 1), again(0, 2, 1), again(0, 2, 1)];
    given([received(), started(0, 2)])
        .when(reported(twice.clone()))
        .then([taken_down(ok(0, 1, 1)), taken_down(again(0, 2, 1))])
        .when(reported(twice))
        .then_nothing();
}

#[test]
fn the_first_result_of_a_task_is_its_result() {
    given([received(), started(0, 2), taken_down(ok(0, 1, 1))])
        .when(reported([ok(0, 1, 2), again(0, 1, 1), given_up(0, 1, 3)]))
        .then_nothing();
    let together = [ok(0, 1, 2), again(0, 1, 1), given_up(0, 1, 3), ok(0, 1, 4)];
    given([received(), started(0, 2)])
        .when(reported(together))
        .then([taken_down(ok(0, 1, 2))]);
}

#[test]
fn a_task_is_given_up_once_and_no_result_is_taken_after_that() {
    given([received(), started(0, 2), taken_down(given_up(0, 1, 4))])
        .when(reported([given_up(0, 1, 3), ok(0, 1, 2)]))
        .then_nothing();
    given([received(), started(0, 2)])
        .when(reported([
            given_up(0, 1, 4),
            given_up(0, 1, 3),
            ok(0, 1, 2),
        ]))
        .then([taken_down(given_up(0, 1, 4))]);
}

#[test]
fn a_failed_attempt_reported_after_the_dead_letter_still_joins_the_history() {
    let request = given([received(), started(0, 2)])
        .when(reported([given_up(0, 1, 3), again(0, 1, 2)]))
        .then([taken_down(given_up(0, 1, 3)), taken_down(again(0, 1, 2))])
        .when(reported([again(0, 1, 1), again(0, 1, 2)]))
        .then([taken_down(again(0, 1, 1))])
        .when(reported([again(0, 1, 1), again(0, 1, 2)]))
        .then_nothing();
    assert_eq!(request.request().group().unwrap().failed, 1);
    request.when(reported([ok(0, 2, 1)])).then([
        taken_down(ok(0, 2, 1)),
        tasks_failed(0, 2, vec![dead(0, 1, [1, 2, 3])]),
    ]);
}

#[test]
fn another_execution_with_the_same_attempt_number_is_recorded_too() {
    let Report::Outcome(mut other) = given_up(0, 1, 1) else {
        panic!("it is an outcome");
    };
    other.started_at = at(2);
    let request = given([received(), started(0, 2), taken_down(again(0, 1, 1))])
        .when(reported([Report::Outcome(other.clone())]));
    let mut second = attempt(1);
    second.started_at = at(2);
    request
        .then([Event::TaskFailed(TaskFailed {
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
            attempt: second,
            given: None,
            next: Next::DeadLetter(letter(0, 1)),
        })])
        .when(reported([Report::Outcome(other)]))
        .then_nothing();
}

#[test]
fn an_outcome_of_another_group_or_of_no_task_is_ignored() {
    let strange = [ok(0, 1, 1), ok(2, 1, 1), ok(1, 0, 1), given_up(1, 9, 1)];
    given([received(), started(0, 1), taken_down(ok(0, 1, 1))])
        .and([completed(0), started(1, 2)])
        .when(reported(strange))
        .then_nothing();
}

#[test]
fn a_task_that_is_due_again_changes_nothing_by_itself() {
    let due = Report::TaskDue {
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        run: None,
    };
    given([received(), started(0, 1), taken_down(again(0, 1, 1))])
        .when(reported([due]))
        .then_nothing();
}
