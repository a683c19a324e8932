use domain::request::{Command, GroupIndex, Rejection, Status};

use crate::story::given;
use crate::words::*;

#[test]
fn a_request_is_cancelled_once_wherever_it_stands() {
    let planned = vec![received()];
    let running = vec![received(), started(0, 2), taken_down(ok(0, 1, 1))];
    for history in [planned, running] {
        let request = given(history)
            .when(cancel())
            .then([cancelled()])
            .when(cancel())
            .then_nothing();
        assert_eq!(request.request().status(), Status::Cancelled);
    }
}

#[test]
fn a_request_that_runs_again_can_be_cancelled() {
    given([received(), failed(unreadable()), redriven(1, None, &[], 0)])
        .when(cancel())
        .then([cancelled()])
        .when(cancel())
        .then_nothing();
}

#[test]
fn a_request_that_has_ended_is_not_cancelled() {
    given([received(), succeeded()])
        .when(cancel())
        .then_refused(Rejection::Ended("succeeded"))
        .when(cancel())
        .then_refused(Rejection::Ended("succeeded"));
    given([received(), failed(unreadable())])
        .when(cancel())
        .then_refused(Rejection::Ended("failed"))
        .when(cancel())
        .then_refused(Rejection::Ended("failed"));
}

#[test]
fn a_cancelled_request_goes_no_further() {
    let steps = || [group(0), Step::Response(response())];
    given([received(), cancelled()])
        .when(advance(0, [], steps()))
        .then_nothing();
    given([received(), started(0, 1), cancelled()])
        .when(advance(0, [], steps()))
        .then_nothing();
}

#[test]
fn a_request_whose_tasks_cannot_be_made_is_aborted_once() {
    let request = given([received(), started(0, 2), taken_down(ok(0, 1, 1))])
        .when(Command::Abort(unreadable()))
        .then([failed(unreadable())])
        .when(Command::Abort(unreadable()))
        .then_nothing();
    let group = request.request().group().unwrap();
    assert_eq!((group.index, group.succeeded), (GroupIndex::FIRST, 1));
}

#[test]
fn a_request_is_aborted_before_its_first_group_too() {
    given([received()])
        .when(Command::Abort(unreadable()))
        .then([failed(unreadable())])
        .when(Command::Abort(unreadable()))
        .then_nothing();
}

#[test]
fn a_request_that_has_ended_is_not_aborted() {
    for end in [succeeded(), cancelled(), failed(unreadable())] {
        given([received(), started(0, 1), end])
            .when(Command::Abort(unreadable()))
            .then_nothing();
    }
}
