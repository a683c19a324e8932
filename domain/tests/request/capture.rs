use domain::request::{Command, Event, Resource, ResourcesCaptured};

use crate::story::given;
use crate::words::*;

fn capture<const N: usize>(uris: [&str; N]) -> Command {
    Command::CaptureResources(uris.map(resource).into())
}

fn captured<const N: usize>(uris: [&str; N]) -> Event {
    let resources: Vec<Resource> = uris.map(resource).into();
    Event::ResourcesCaptured(ResourcesCaptured { resources })
}

#[test]
fn a_fetched_resource_is_captured_once() {
    let request = given([received()])
        .when(capture(["s3://m/a", "s3://m/b"]))
        .then([captured(["s3://m/a", "s3://m/b"])])
        .when(capture(["s3://m/a", "s3://m/b"]))
        .then_nothing();
    assert_eq!(request.request().resources.len(), 2);
}

#[test]
fn only_new_resources_are_captured_in_the_order_of_the_fetches() {
    let request = given([received(), captured(["s3://m/a"])])
        .when(capture(["s3://m/c", "s3://m/a", "s3://m/b"]))
        .then([captured(["s3://m/c", "s3://m/b"])])
        .when(capture(["s3://m/b", "s3://m/a"]))
        .then_nothing();
    let uris: Vec<&str> = request
        .request()
        .resources
        .iter()
        .map(|r| r.uri.as_str())
        .collect();
    assert_eq!(uris, ["s3://m/a", "s3://m/c", "s3://m/b"]);
}

#[test]
fn a_resource_named_twice_in_one_command_is_captured_once() {
    given([received()])
        .when(capture(["s3://m/a", "s3://m/a"]))
        .then([captured(["s3://m/a"])])
        .when(capture(["s3://m/a", "s3://m/a"]))
        .then_nothing();
}

#[test]
fn a_fetch_of_nothing_captures_nothing() {
    given([received()]).when(capture([])).then_nothing();
}

#[test]
fn a_group_that_runs_may_capture_more() {
    given([received(), started(0, 1)])
        .when(capture(["s3://m/a"]))
        .then([captured(["s3://m/a"])])
        .when(capture(["s3://m/a"]))
        .then_nothing();
}

#[test]
fn a_resource_that_arrives_after_the_end_is_not_captured() {
    for end in [succeeded(), failed(unreadable()), cancelled()] {
        given([received(), end])
            .when(capture(["s3://m/a"]))
            .then_nothing();
    }
}
