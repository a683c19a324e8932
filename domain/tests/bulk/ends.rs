use domain::bulk::{
    ASKED_AT_ONCE, Became, Command, Event, Item, OUTLOOK_REASONS_MAX, Outlook, Plan, RUNNING_MAX,
    Rejection, SELECTED_MAX, Would,
};
use domain::request::Run;

use crate::story::given;
use crate::words::*;

#[test]
fn a_selection_of_nothing_or_of_too_much_is_no_operation() {
    for (selected, rejection) in [
        (0, Rejection::NothingSelected),
        (SELECTED_MAX + 1, Rejection::TooManySelected),
    ] {
        given([])
            .when(Command::Draft(draft_of(selected)))
            .then_refused(rejection);
    }
    given([])
        .when(Command::Draft(draft_of(3)))
        .then([drafted(3)])
        .when(Command::Draft(draft_of(3)))
        .then_refused(Rejection::Drafted);
}

#[test]
fn a_draft_does_nothing_until_it_is_started() {
    given([])
        .when(start(plan()))
        .then_refused(Rejection::Unknown);
    let draft = given([drafted(3)]).when(go_on(100)).then_nothing();
    assert!(!draft.operation().is_open());
    draft
        .when(pause())
        .then_refused(Rejection::NotStarted)
        .when(start(plan()))
        .then([started(plan())])
        .when(start(plan()))
        .then_nothing()
        .when(start(Plan {
            canary: 1,
            ..plan()
        }))
        .then_refused(Rejection::StartedOtherwise)
        .when(go_on(2))
        .then([asking([0, 1])]);
}

#[test]
fn a_plan_that_asks_for_nothing_or_stops_at_once_is_refused() {
    let wrong = |plan: Plan, rejection| {
        given([drafted(3)])
            .when(start(plan))
            .then_refused(rejection);
    };
    for per_second in [0, 1_001] {
        let plan = Plan {
            per_second,
            ..plan()
        };
        wrong(plan, Rejection::InvalidRate);
    }
    let plan = Plan {
        stop_after_failures: Some(0),
        ..plan()
    };
    wrong(plan, Rejection::InvalidStop);
}

/// The fault of "12 of 12 completed": the requests were asked to run again, and nobody had looked
/// how they ended.
#[test]
fn a_redriven_request_is_pending_until_it_ends_and_is_done_only_if_it_succeeds() {
    let all = || (0..12).map(|item| (item, runs()));
    let asked = given([drafted(12), started(plan()), asking(0..12), told(all())]);
    let counts = asked.counts();
    assert_eq!((counts.pending(), counts.running, counts.done), (12, 12, 0));
    let failed = (0..12).map(|item| (item, failed()));
    let ended = asked
        .when(advance(failed.clone(), 100))
        .then([told(failed), Event::Completed]);
    let counts = ended.counts();
    assert_eq!((counts.done, counts.failed, counts.pending()), (0, 12, 0));
}

/// The fault of "0 total, 11 failed and 11 completed": an item was counted twice.
#[test]
fn an_outcome_that_is_told_again_is_counted_once() {
    let told_once = given([drafted(2), started(plan()), asking([0, 1])])
        .when(advance([(0, failed())], 0))
        .then([told([(0, failed())])])
        .when(advance(
            [(0, Became::Done), (0, failed()), (7, Became::Done)],
            0,
        ))
        .then_nothing();
    let counts = told_once.counts();
    assert_eq!((counts.failed, counts.done, counts.selected()), (1, 0, 2));
    // The same within one commit.
    let twice = [(1, Became::Done), (1, failed())];
    let end = told_once
        .when(advance(twice.clone(), 0))
        .then([told(twice), Event::Completed]);
    assert_eq!((end.counts().done, end.counts().failed), (1, 1));
}

#[test]
fn a_paused_operation_asks_for_nothing_and_still_learns_how_items_end() {
    given([drafted(4), started(plan()), asking([0, 1])])
        .when(pause())
        .then([paused()])
        .when(pause())
        .then_nothing()
        .when(advance([(0, Became::Done)], 100))
        .then([told([(0, Became::Done)])])
        .when(resume())
        .then([resumed()])
        .when(resume())
        .then_nothing()
        .when(go_on(100))
        .then([asking([2, 3])]);
}

#[test]
fn a_cancelled_operation_skips_what_waits_and_follows_what_runs() {
    let end = given([drafted(4), started(plan()), asking([0, 1])])
        .and([told([(0, runs())])])
        .when(cancel())
        .then([cancelled()])
        .when(cancel())
        .then_nothing();
    let counts = end.counts();
    assert_eq!((counts.skipped, counts.running, counts.asking), (2, 1, 1));
    assert!(end.operation().is_open());
    let skipped: Vec<_> = end.operation().items().skip(2).collect();
    assert!(skipped.iter().all(|item| item.item == Item::Skipped
        && item.reason == Some("the operation ended before it was asked for")));
    // The action may have been taken for the second item before the cancellation was known.
    let end = end
        .when(advance([(1, runs()), (0, Became::Done)], 100))
        .then([told([(1, runs()), (0, Became::Done)])])
        .when(advance([(1, failed())], 100))
        .then([told([(1, failed())])]);
    assert!(!end.operation().is_open());
    end.when(pause())
        .then_refused(Rejection::Ended("cancelled"));
}

#[test]
fn a_draft_can_be_cancelled_and_is_never_started_then() {
    given([drafted(4)])
        .when(cancel())
        .then([cancelled()])
        .when(start(plan()))
        .then_refused(Rejection::Ended("cancelled"));
}

#[test]
fn a_commit_asks_for_a_limited_number_and_only_a_limited_number_runs_at_once() {
    let selected = RUNNING_MAX + 500;
    let mut at = given([drafted(selected), started(plan())]);
    let mut next = 0;
    while next < RUNNING_MAX {
        let items = next..(next + ASKED_AT_ONCE).min(RUNNING_MAX);
        at = at.when(go_on(u32::MAX)).then([asking(items.clone())]);
        let all = items.clone().map(|item| (item, runs()));
        at = at.and([told(all)]);
        next = items.end;
    }
    at.when(go_on(u32::MAX))
        .then_nothing()
        .when(advance([(3, Became::Done)], u32::MAX))
        .then([told([(3, Became::Done)]), asking([RUNNING_MAX])]);
}

#[test]
fn an_item_that_runs_keeps_its_run_and_its_reason_is_cut() {
    let run = Run::FIRST.next().next();
    let at = given([drafted(2), started(plan()), asking([0, 1])])
        .and([told([(0, Became::Running(run))])]);
    let first = at.operation().items().next().unwrap();
    assert_eq!(first.item, Item::Running(run));
    let long = [(1, Became::Refused("é".repeat(400)))];
    at.when(advance(long, 0))
        .then([told([(1, Became::Refused("é".repeat(150)))])]);
}

#[test]
fn an_outlook_counts_every_item_once_however_many_reasons_there_are() {
    let reasons = (0..50).map(|n| Would::Refuse(format!("reason {n}")));
    let outlook: Outlook = reasons
        .chain([Would::Act, Would::Skip("gone".into())])
        .collect();
    assert_eq!(outlook.selected(), 52);
    assert_eq!(outlook.refuse.len(), OUTLOOK_REASONS_MAX + 1);
    assert_eq!(outlook.refuse["other reasons"], 30);
    assert_eq!((outlook.act, outlook.skip["gone"]), (1, 1));
}

#[test]
fn an_ended_operation_that_lets_go_of_its_items_keeps_its_counts() {
    let running = [drafted(3), started(plan()), asking([0, 1, 2])];
    let mut still = given(running).0;
    still.let_go_of_items();
    assert_eq!(still.operation().unwrap().items().count(), 3);
    let ends = [(0, Became::Done), (1, failed()), (2, refused())];
    let mut ended = given([])
        .and([drafted(3), started(plan()), asking([0, 1, 2])])
        .and([told(ends), Event::Completed])
        .0;
    ended.let_go_of_items();
    let operation = ended.operation().unwrap();
    assert_eq!(operation.items().count(), 0);
    let counts = operation.counts;
    assert_eq!((counts.done, counts.failed, counts.refused), (1, 1, 1));
    assert_eq!(counts.selected(), 3);
}
