//! What holds in every history, also in one that no rule would allow.

use domain::bulk::{
    Became, Command, Counts, Event, Item, ItemNumber, Outcome, Phase, Plan, State, decide, evolve,
};
use domain::request::Run;
use proptest::prelude::*;

use crate::words::*;

const SELECTED: u32 = 8;

fn became() -> impl Strategy<Value = Became> {
    prop_oneof![
        (0_u32..3).prop_map(|n| { Became::Running((0..n).fold(Run::FIRST, |run, _| run.next())) }),
        Just(Became::Done),
        Just(failed()),
        Just(refused()),
        Just(Became::Skipped("gone".into())),
    ]
}

/// Also items that do not exist.
fn some_outcomes() -> impl Strategy<Value = Vec<(ItemNumber, Became)>> {
    prop::collection::vec((0..SELECTED + 2, became()), 0..6)
}

fn some_plan() -> impl Strategy<Value = Plan> {
    (0_u32..4, prop::option::of(1_u32..4)).prop_map(|(canary, stop_after_failures)| Plan {
        canary,
        per_second: 10,
        stop_after_failures,
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        some_plan().prop_map(start),
        (some_outcomes(), 0_u32..5).prop_map(|(all, room)| advance(all, room)),
        (some_outcomes(), 0_u32..5).prop_map(|(all, room)| advance(all, room)),
        Just(pause()),
        Just(resume()),
        Just(cancel()),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        some_plan().prop_map(started),
        prop::collection::vec(0..SELECTED + 2, 0..6).prop_map(asking),
        some_outcomes().prop_map(told),
        Just(paused()),
        Just(resumed()),
        Just(cancelled()),
        Just(stopped(1)),
        Just(Event::Completed),
        Just(drafted(3)),
    ]
}

/// Counts again, from the items themselves.
fn counted(state: &State) -> Counts {
    let mut counts = Counts::default();
    for item in state.operation().unwrap().items() {
        *match item.item {
            Item::Waiting => &mut counts.waiting,
            Item::Asking => &mut counts.asking,
            Item::Running(_) => &mut counts.running,
            Item::Done => &mut counts.done,
            Item::Failed => &mut counts.failed,
            Item::Refused => &mut counts.refused,
            Item::Skipped => &mut counts.skipped,
        } += 1;
    }
    counts
}

fn ended(state: &State) -> Vec<Option<Item>> {
    let items = state.operation().unwrap().items();
    items
        .map(|item| item.item.has_ended().then_some(item.item))
        .collect()
}

/// The counts add up, and what has ended stays as it was.
fn check(before: &State, after: &State) {
    let counts = after.operation().unwrap().counts;
    assert_eq!(counts, counted(after));
    assert_eq!(counts.selected(), SELECTED);
    let parts = counts.done + counts.failed + counts.refused + counts.skipped + counts.pending();
    assert_eq!(parts, SELECTED);
    for (was, is) in ended(before).into_iter().zip(ended(after)) {
        assert!(was.is_none() || was == is, "{was:?} became {is:?}");
    }
}

proptest! {
    #[test]
    fn the_counts_add_up_after_every_event_of_every_history(
        commands in prop::collection::vec(command(), 0..60),
    ) {
        let mut state = evolve(State::Absent, &drafted(SELECTED));
        for command in commands {
            for event in decide(&state, command).unwrap_or_default() {
                let after = evolve(state.clone(), &event);
                check(&state, &after);
                state = after;
            }
        }
        let operation = state.operation().unwrap();
        let waits = operation.counts.waiting > 0;
        let may_wait = matches!(operation.phase, Phase::Draft | Phase::Running | Phase::Paused(_));
        prop_assert!(!waits || may_wait, "{:?} waits", operation.phase);
    }

    #[test]
    fn the_counts_add_up_after_events_in_any_order(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut state = evolve(State::Absent, &drafted(SELECTED));
        for event in events {
            let after = evolve(state.clone(), &event);
            check(&state, &after);
            state = after;
        }
    }

    /// An operation that is given every outcome ends, whatever its plan, unless its canary failed.
    #[test]
    fn an_operation_whose_items_all_end_ends_itself(plan in some_plan(), fates in prop::collection::vec(became(), 8)) {
        let mut state = evolve(State::Absent, &drafted(SELECTED));
        state = evolve(state, &started(plan));
        for _ in 0..50 {
            let operation = state.operation().unwrap();
            let outcomes = operation.items().filter_map(|item| match item.item {
                Item::Asking => Some(fates[item.number as usize].clone()),
                Item::Running(_) => Some(Became::Done),
                _ => None,
            }.map(|became| Outcome { item: item.number, became }));
            let command = Command::Advance { outcomes: outcomes.collect(), room: 3 };
            for event in decide(&state, command).unwrap() {
                state = evolve(state, &event);
            }
            if matches!(state.operation().unwrap().phase, Phase::Paused(_)) {
                state = evolve(state, &resumed());
            }
        }
        prop_assert!(!state.operation().unwrap().is_open());
        prop_assert_eq!(state.operation().unwrap().counts.pending(), 0);
    }
}
