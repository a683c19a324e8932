use super::{
    ASKED_AT_ONCE, Actor, Asking, Cancelled, Command, Drafted, Event, ITEM_REASON_MAX_BYTES, Item,
    ItemNumber, Operation, Outcome, PER_SECOND_MAX, Paused, Phase, Plan, Rejection, SELECTED_MAX,
    Started, State, Stopped, Told, evolve,
};
use crate::request::bounds::{TEXT_MAX_BYTES, cut};

/// Decides a command. No events mean that the command was already obeyed, or that there is nothing
/// to do.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state.operation(), command) {
        (None, Command::Draft(drafted)) => draft(drafted),
        (None, _) => Err(Rejection::Unknown),
        (Some(_), Command::Draft(_)) => Err(Rejection::Drafted),
        (Some(operation), Command::Start { plan, actor }) => start(operation, plan, actor),
        (Some(operation), Command::Advance { outcomes, room }) => {
            Ok(advance(operation, outcomes, room))
        }
        (Some(operation), Command::Pause { actor }) => match operation.phase {
            Phase::Running => Ok(vec![Event::Paused(Paused::By(actor))]),
            Phase::Paused(_) => Ok(Vec::new()),
            _ => Err(not_started_or_ended(operation)),
        },
        (Some(operation), Command::Resume { actor }) => match operation.phase {
            Phase::Paused(_) => Ok(vec![Event::Resumed(actor)]),
            Phase::Running => Ok(Vec::new()),
            _ => Err(not_started_or_ended(operation)),
        },
        (Some(operation), Command::Cancel { actor, reason }) => cancel(operation, actor, reason),
    }
}

fn draft(mut drafted: Box<Drafted>) -> Result<Vec<Event>, Rejection> {
    if drafted.selected == 0 {
        return Err(Rejection::NothingSelected);
    }
    if drafted.selected > SELECTED_MAX {
        return Err(Rejection::TooManySelected);
    }
    cut(&mut drafted.reason, TEXT_MAX_BYTES);
    Ok(vec![Event::Drafted(drafted)])
}

fn start(operation: &Operation, plan: Plan, actor: Actor) -> Result<Vec<Event>, Rejection> {
    if !(1..=PER_SECOND_MAX).contains(&plan.per_second) {
        return Err(Rejection::InvalidRate);
    }
    if plan.stop_after_failures == Some(0) {
        return Err(Rejection::InvalidStop);
    }
    match operation.phase {
        Phase::Draft => Ok(vec![Event::Started(Started { plan, actor })]),
        Phase::Running | Phase::Paused(_) if operation.plan == Some(plan) => Ok(Vec::new()),
        Phase::Running | Phase::Paused(_) => Err(Rejection::StartedOtherwise),
        _ => Err(Rejection::Ended(operation.phase.as_str())),
    }
}

fn cancel(
    operation: &Operation,
    actor: Actor,
    mut reason: String,
) -> Result<Vec<Event>, Rejection> {
    cut(&mut reason, TEXT_MAX_BYTES);
    match operation.phase {
        Phase::Draft | Phase::Running | Phase::Paused(_) => {
            Ok(vec![Event::Cancelled(Cancelled { actor, reason })])
        }
        Phase::Cancelled { .. } => Ok(Vec::new()),
        Phase::Completed | Phase::Stopped => Err(Rejection::Ended(operation.phase.as_str())),
    }
}

fn not_started_or_ended(operation: &Operation) -> Rejection {
    match operation.phase {
        Phase::Draft => Rejection::NotStarted,
        _ => Rejection::Ended(operation.phase.as_str()),
    }
}

fn advance(operation: &Operation, outcomes: Vec<Outcome>, room: u32) -> Vec<Event> {
    let mut events = Vec::new();
    let outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .filter(|outcome| fits(operation, outcome))
        .map(bounded)
        .collect();
    let mut after = State::Present(Box::new(operation.clone()));
    if !outcomes.is_empty() {
        let told = Event::Told(Told { outcomes });
        after = evolve(after, &told);
        events.push(told);
    }
    let Some(after) = after.operation() else {
        return events;
    };
    match consequence(after) {
        Some(consequence) => events.push(consequence),
        None => events.extend(ask(after, room)),
    }
    events
}

/// Whether an outcome is news about an item that was asked for.
fn fits(operation: &Operation, outcome: &Outcome) -> bool {
    let index = usize::try_from(outcome.item).ok();
    match index.and_then(|index| operation.items.get(index)) {
        Some(Item::Asking) => true,
        Some(Item::Running(_)) => matches!(outcome.became.item(), Item::Done | Item::Failed),
        _ => false,
    }
}

fn bounded(mut outcome: Outcome) -> Outcome {
    if let Some(reason) = outcome.became.reason_mut() {
        cut(reason, ITEM_REASON_MAX_BYTES);
    }
    outcome
}

/// What follows from the counts alone.
fn consequence(operation: &Operation) -> Option<Event> {
    let counts = &operation.counts;
    if !matches!(operation.phase, Phase::Running | Phase::Paused(_)) {
        return None;
    }
    if counts.pending() == 0 {
        return Some(Event::Completed);
    }
    let stops = operation.plan.and_then(|plan| plan.stop_after_failures);
    if counts.waiting > 0 && stops.is_some_and(|most| counts.failed >= most) {
        return Some(Event::Stopped(Stopped {
            failed: counts.failed,
        }));
    }
    let canary_ended = operation.canary().is_some_and(|canary| {
        counts.done + counts.failed >= canary && counts.asking + counts.running == 0
    });
    if operation.phase == Phase::Running && canary_ended && counts.failed > 0 {
        return Some(Event::Paused(Paused::Canary(counts.failed)));
    }
    None
}

/// The next items to ask for.
fn ask(operation: &Operation, room: u32) -> Option<Event> {
    let most = room.min(operation.room()).min(ASKED_AT_ONCE);
    let items: Vec<ItemNumber> = operation
        .items()
        .skip(operation.first_waiting)
        .filter(|recent| recent.item == Item::Waiting)
        .take(usize::try_from(most).unwrap_or(0))
        .map(|recent| recent.number)
        .collect();
    (!items.is_empty()).then_some(Event::Asking(Asking { items }))
}
