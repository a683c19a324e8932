use domain::bulk::{Became, Event, Paused, Plan, Rejection};

use crate::story::given;
use crate::words::*;

fn with_canary(canary: u32) -> Plan {
    Plan { canary, ..plan() }
}

#[test]
fn the_canary_is_tried_first_and_the_rest_follows_when_all_of_it_ended_well() {
    let one = [(0, runs()), (1, runs())];
    given([drafted(5), started(with_canary(2))])
        .when(go_on(100))
        .then([asking([0, 1])])
        .when(go_on(100))
        .then_nothing()
        .when(advance(one.clone(), 100))
        .then([told(one)])
        .when(advance([(0, Became::Done)], 100))
        .then([told([(0, Became::Done)])])
        .when(advance([(1, Became::Done)], 100))
        .then([told([(1, Became::Done)]), asking([2, 3, 4])]);
}

#[test]
fn a_canary_that_fails_pauses_the_operation_once_all_of_it_has_ended() {
    let resumed = given([drafted(5), started(with_canary(2)), asking([0, 1])])
        .when(advance([(0, failed())], 100))
        .then([told([(0, failed())])])
        .when(advance([(1, Became::Done)], 100))
        .then([told([(1, Became::Done)]), Event::Paused(Paused::Canary(1))])
        .when(go_on(100))
        .then_nothing()
        .when(resume())
        .then([resumed()]);
    // Whoever resumes it has decided: the rest follows.
    resumed.when(go_on(100)).then([asking([2, 3, 4])]);
}

#[test]
fn a_refused_item_says_nothing_and_another_takes_its_place_in_the_canary() {
    given([drafted(5), started(with_canary(2)), asking([0, 1])])
        .when(advance([(0, refused())], 100))
        .then([told([(0, refused())]), asking([2])]);
}

#[test]
fn a_person_who_resumes_during_the_canary_does_not_end_it() {
    given([drafted(5), started(with_canary(2)), asking([0, 1])])
        .and([paused(), resumed()])
        .when(go_on(100))
        .then_nothing();
}

#[test]
fn the_operation_stops_after_as_many_failures_as_its_plan_allows() {
    let plan = Plan {
        stop_after_failures: Some(2),
        ..plan()
    };
    let two = [(0, failed()), (2, failed())];
    let end = given([drafted(6), started(plan), asking([0, 1, 2, 3])])
        .and([told([(1, runs()), (3, runs())])])
        .when(advance(two.clone(), 100))
        .then([told(two), stopped(2)]);
    let counts = end.counts();
    assert_eq!((counts.failed, counts.running, counts.skipped), (2, 2, 2));
    // What runs is followed to its end, and nothing else is asked for.
    let end = end
        .when(advance([(1, Became::Done), (3, failed())], 100))
        .then([told([(1, Became::Done), (3, failed())])]);
    assert!(!end.operation().is_open());
    assert_eq!(end.counts().selected(), 6);
    end.when(resume()).then_refused(Rejection::Ended("stopped"));
}

#[test]
fn an_operation_that_has_asked_for_everything_is_not_stopped() {
    let plan = Plan {
        stop_after_failures: Some(1),
        ..plan()
    };
    given([drafted(2), started(plan), asking([0, 1])])
        .and([told([(1, runs())])])
        .when(advance([(0, failed())], 100))
        .then([told([(0, failed())])])
        .when(advance([(1, Became::Done)], 100))
        .then([told([(1, Became::Done)]), Event::Completed]);
}
