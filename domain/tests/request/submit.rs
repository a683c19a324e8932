use domain::request::{Command, Rejection, Status};

use crate::story::{given, given_nothing};
use crate::words::*;

pub fn submit(fingerprint: &str) -> Command {
    Command::Submit(Box::new(document(fingerprint)))
}

#[test]
fn a_document_is_received_once() {
    let request = given_nothing()
        .when(submit("f1"))
        .then([received()])
        .when(submit("f1"))
        .then_nothing();
    assert_eq!(request.request().status(), Status::Received);
    assert_eq!(request.0.revision(), 1);
}

#[test]
fn a_document_is_received_and_begun_in_one_commit_once() {
    let request = given_nothing()
        .when(begin("f1"))
        .then([received(), started(0, 2)])
        .when(begin("f1"))
        .then_nothing()
        .when(begin("f2"))
        .then_refused(Rejection::FingerprintDiffers);
    assert_eq!(request.request().status(), Status::Running);
}

#[test]
fn the_same_key_with_another_document_is_refused() {
    given([received()])
        .when(submit("f2"))
        .then_refused(Rejection::FingerprintDiffers)
        .when(submit("f2"))
        .then_refused(Rejection::FingerprintDiffers);
}

#[test]
fn a_document_submitted_again_after_the_end_starts_nothing() {
    for end in [succeeded(), failed(unreadable()), cancelled()] {
        given([received(), end])
            .when(submit("f1"))
            .then_nothing()
            .when(submit("f2"))
            .then_refused(Rejection::FingerprintDiffers);
    }
}

#[test]
fn an_unknown_request_accepts_only_a_submission() {
    let commands = [
        Command::CaptureResources(vec![resource("s3://m/curve")]),
        advance(1, [ok(0, 1, 1)], [group(1)]),
        Command::Abort(unreadable()),
        cancel(),
        redrive(0),
    ];
    for command in commands {
        given_nothing()
            .when(command.clone())
            .then_refused(Rejection::Unknown)
            .when(command)
            .then_refused(Rejection::Unknown);
    }
}

#[test]
fn an_event_without_a_received_before_it_makes_no_request() {
    let nothing = given([started(0, 1), taken_down(ok(0, 1, 1)), succeeded()]);
    assert_eq!(nothing.0.request(), None);
    assert_eq!(nothing.0.revision(), 0);
}
