use std::collections::BTreeMap;

use super::{
    Counts, Drafted, Event, Item, ItemNumber, Operation, Outcome, Pause, Paused, Phase,
    SELECTED_MAX, State,
};

/// The reason of the items that were never asked for.
const ENDED_BEFORE: &str = "the operation ended before it was asked for";

/// The state after one more event. The function is total and has no rules, because everything that
/// is stored has happened. An event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::Absent, Event::Drafted(drafted)) => State::Present(Box::new(new(drafted))),
        (State::Present(mut operation), event) => {
            apply(&mut operation, event);
            State::Present(operation)
        }
        (state, _) => state,
    }
}

fn new(drafted: &Drafted) -> Operation {
    let selected = drafted.selected.min(SELECTED_MAX);
    Operation {
        drafted: drafted.clone(),
        plan: None,
        started_by: None,
        phase: Phase::Draft,
        counts: Counts::of(selected),
        canary_over: false,
        items: (0..selected).map(|_| Item::Waiting).collect(),
        reasons: BTreeMap::new(),
        first_waiting: 0,
    }
}

fn apply(operation: &mut Operation, event: &Event) {
    match event {
        Event::Drafted(_) => {}
        Event::Started(started) => {
            operation.plan = Some(started.plan);
            operation.started_by = Some(started.actor.clone());
            operation.phase = Phase::Running;
        }
        Event::Asking(asking) => {
            for number in &asking.items {
                change(operation, *number, Item::Asking);
            }
        }
        Event::Told(told) => {
            for outcome in &told.outcomes {
                take_note(operation, outcome);
            }
            end_canary(operation);
        }
        Event::Paused(paused) => {
            operation.phase = Phase::Paused(match paused {
                Paused::By(actor) => Pause::By(actor.clone()),
                Paused::Canary(failed) => Pause::Canary(*failed),
            });
        }
        Event::Resumed(_) => {
            // Whoever resumes it after the canary has looked at what failed.
            operation.canary_over |= matches!(operation.phase, Phase::Paused(Pause::Canary(_)));
            operation.phase = Phase::Running;
        }
        Event::Cancelled(cancelled) => {
            operation.phase = Phase::Cancelled {
                actor: cancelled.actor.clone(),
                reason: cancelled.reason.clone(),
            };
            skip_the_rest(operation);
        }
        Event::Stopped(_) => {
            operation.phase = Phase::Stopped;
            skip_the_rest(operation);
        }
        Event::Completed => operation.phase = Phase::Completed,
    }
}

fn change(operation: &mut Operation, number: ItemNumber, to: Item) {
    let Some(item) = index(number).and_then(|index| operation.items.get_mut(index)) else {
        return;
    };
    // What has ended stays as it is, and nothing waits again.
    let fits = match (*item, to) {
        (Item::Waiting, to) => to != Item::Waiting,
        (Item::Asking, to) => !matches!(to, Item::Waiting | Item::Asking),
        (Item::Running(_), to) => matches!(to, Item::Done | Item::Failed),
        _ => false,
    };
    if fits {
        operation.counts.moves(*item, to);
        *item = to;
    }
    while operation
        .items
        .get(operation.first_waiting)
        .is_some_and(|item| *item != Item::Waiting)
    {
        operation.first_waiting += 1;
    }
}

fn take_note(operation: &mut Operation, outcome: &Outcome) {
    let to = outcome.became.item();
    change(operation, outcome.item, to);
    let is = index(outcome.item).and_then(|index| operation.items.get(index));
    if is == Some(&to)
        && let Some(reason) = outcome.became.reason()
    {
        let reason = reason.to_owned();
        operation.reasons.entry(outcome.item).or_insert(reason);
    }
}

/// The canary is over when as many items as it wants have ended, and none of them failed.
fn end_canary(operation: &mut Operation) {
    let counts = &operation.counts;
    if let Some(canary) = operation.canary()
        && counts.failed == 0
        && counts.done >= canary
    {
        operation.canary_over = true;
    }
}

fn skip_the_rest(operation: &mut Operation) {
    for number in 0..operation.drafted.selected {
        let index = index(number).and_then(|index| operation.items.get(index));
        if index == Some(&Item::Waiting) {
            change(operation, number, Item::Skipped);
            operation.reasons.insert(number, ENDED_BEFORE.to_owned());
        }
    }
}

fn index(number: ItemNumber) -> Option<usize> {
    usize::try_from(number).ok()
}
