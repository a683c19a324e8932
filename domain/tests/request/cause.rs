//! The inverse of a decision: derives the command from the state and the events.

use domain::request::{
    Command, Decision, Event, Fork, Forked, RequestId, Sequence, State, TakenGroup,
};
use domain::request::{Payload, cause, decide, evolve};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::order::{late, report};
use crate::simulation::{Chance, World, chance, script};
use crate::story::{Given, given, given_nothing};
use crate::submit::submit;
use crate::time_out::request_fires;
use crate::words::*;

/// Decides every commit again from its cause.
fn check(log: &[Vec<Event>]) -> Result<(), TestCaseError> {
    let mut state = State::Absent;
    for events in log {
        let command = cause(&state, events, at(7));
        let again = command.clone().map(|command| decide(&state, command));
        let decided = Some(Ok(Decision::Events(events.clone())));
        prop_assert!(again == decided, "{events:?} from {command:?} is {again:?}");
        state = events.iter().fold(state, evolve);
    }
    Ok(())
}

/// Decides a command, and decides its events again from their cause.
fn told_again(before: &Given, command: Command) {
    let Ok(Decision::Events(events)) = decide(&before.0, command) else {
        panic!("the command is obeyed");
    };
    let command = cause(&before.0, &events, at(7)).unwrap();
    assert_eq!(decide(&before.0, command), Ok(Decision::Events(events)));
}

proptest! {
    #[test]
    fn every_commit_of_a_disorderly_run_is_decided_again_from_its_cause(
        script in script(),
        first in chance(),
        second in chance(),
        fail_fast in any::<bool>(),
        impatient in any::<bool>(),
    ) {
        let mut world = World::new(script, first);
        if fail_fast {
            world = world.failing_fast();
        }
        if impatient {
            world = world.impatient();
        }
        let mut world = world.run();
        if world.request().status() == domain::request::Status::Failed {
            world = world.redrive(second);
        }
        check(&world.log)?;
    }

    #[test]
    fn the_reports_of_a_commit_are_derived_from_its_events_in_any_order(
        batches in vec((vec(report(), 0..20), any::<bool>()), 0..6),
    ) {
        let mut world = World::new(vec![vec![]], Chance::default());
        world.obey(advance(0, [], [group(6)]));
        for (batch, fail_fast) in batches {
            world.obey(late(batch, fail_fast));
        }
        check(&world.log)?;
    }
}

#[test]
fn a_submission_that_starts_a_group_differs_from_one_that_does_not() {
    told_again(&given_nothing(), submit("f1"));
    told_again(&given_nothing(), begin("f1"));
}

#[test]
fn a_failure_of_the_document_a_cancellation_and_captured_resources_have_their_causes() {
    let planned = || given([received()]);
    let running = || given([received(), started(0, 2), taken_down(ok(0, 1, 1))]);
    told_again(&planned(), advance(0, [], [Step::Failure(unreadable())]));
    told_again(
        &planned(),
        advance(0, [], [group(0), group(0), Step::Response(response())]),
    );
    told_again(&planned(), reported([request_fires(0)]));
    told_again(&running(), Command::Abort(unreadable()));
    told_again(&running(), cancel());
    told_again(
        &running(),
        Command::CaptureResources(vec![resource("s3://a/b")]),
    );
    let both = [ok(0, 2, 1), request_fires(0)];
    told_again(&running(), advance(1, both, [group(0), group(1)]));
}

#[test]
fn a_fork_has_its_cause_with_all_that_it_takes_over() {
    for results in [0, 1, 2] {
        let Event::Received(received) = received() else {
            panic!("it is received");
        };
        let succeeded = |task| match taken_down(ok(0, task, 1)) {
            Event::TaskSucceeded(succeeded) => succeeded,
            other => panic!("{other:?}"),
        };
        let fork = Fork {
            received: *received,
            forked: Forked {
                from: RequestId::of_key("a", "b"),
                sequence: Sequence::new(7),
                by: "ada".into(),
                on_behalf_of: None,
                reason: "a better market".into(),
            },
            resources: vec![resource("s3://a/b")],
            groups: vec![TakenGroup {
                name: Some("bonds".into()),
                tasks: 2,
                results: (1..=results).map(succeeded).collect(),
            }],
            now: at(0),
            rules: RULES,
        };
        told_again(&given_nothing(), Command::Fork(Box::new(fork)));
    }
}

#[test]
fn a_commit_without_events_has_no_cause() {
    assert_eq!(cause(&State::Absent, &[], at(0)), None);
    assert_eq!(cause(&State::Absent, &[completed(0)], at(0)), None);
}

fn resource(uri: &str) -> domain::request::Resource {
    domain::request::Resource {
        uri: uri.into(),
        sha256: None,
        content: Payload::from("<market/>"),
    }
}
