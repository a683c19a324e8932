use std::collections::BTreeMap;

use crate::request::Payload;

use super::{Actor, Counts, Drafted, Item, ItemNumber, Plan, RUNNING_MAX};

/// The state of a bulk operation, folded from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has no events.
    #[default]
    Absent,
    /// It was drafted.
    Present(Box<Operation>),
}

/// A bulk operation that was drafted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was drafted.
    pub drafted: Drafted,
    /// How it goes through its items; none before it is started.
    pub plan: Option<Plan>,
    /// Who started it.
    pub started_by: Option<Actor>,
    /// Where it stands.
    pub phase: Phase,
    /// How many items are in which state.
    pub counts: Counts,
    /// Whether the canary is over: all of it ended well, or somebody resumed the operation after it.
    pub canary_over: bool,
    pub(super) items: Vec<Item>,
    pub(super) reasons: BTreeMap<ItemNumber, String>,
    /// No item before this one waits.
    pub(super) first_waiting: usize,
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The selection is fixed, and nobody has started it.
    Draft,
    /// It asks for items.
    Running,
    /// It asks for nothing more until somebody resumes it.
    Paused(Pause),
    /// Every item has ended.
    Completed,
    /// Somebody ended it.
    Cancelled {
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// Too many items failed.
    Stopped,
}

/// Who or what paused an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Somebody.
    By(Actor),
    /// So many items of the canary failed.
    Canary(u32),
}

/// An item with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent<'a> {
    /// The number of the item.
    pub number: ItemNumber,
    /// Its state.
    pub item: Item,
    /// Why it is in this state, where there is a reason.
    pub reason: Option<&'a str>,
}

impl Phase {
    /// The phase as a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused(_) => "paused",
            Self::Completed => "completed",
            Self::Cancelled { .. } => "cancelled",
            Self::Stopped => "stopped",
        }
    }
}

impl State {
    /// The operation, if there is one.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Absent => None,
            Self::Present(operation) => Some(operation),
        }
    }

    /// Drops the items of an operation that has ended and its selection, and keeps the counts.
    pub fn let_go_of_items(&mut self) {
        if let Self::Present(operation) = self
            && operation.has_ended()
        {
            operation.items = Vec::new();
            operation.drafted.selection = Payload::from("");
            operation.reasons = BTreeMap::new();
        }
    }
}

impl Operation {
    /// Whether somebody must still act for it, or look how its items end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.phase {
            Phase::Draft | Phase::Completed => false,
            Phase::Running => true,
            Phase::Paused(_) | Phase::Cancelled { .. } | Phase::Stopped => {
                self.counts.asking + self.counts.running > 0
            }
        }
    }

    /// Whether nothing more can happen to it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.phase {
            Phase::Draft | Phase::Running | Phase::Paused(_) => false,
            Phase::Completed | Phase::Cancelled { .. } | Phase::Stopped => !self.is_open(),
        }
    }

    /// The items with their reasons, in order.
    pub fn items(&self) -> impl Iterator<Item = Recent<'_>> {
        (0..).zip(&self.items).map(|(number, item)| Recent {
            number,
            item: *item,
            reason: self.reasons.get(&number).map(String::as_str),
        })
    }

    /// The items for which the action is being taken.
    pub fn asking(&self) -> impl Iterator<Item = ItemNumber> {
        self.items()
            .filter(|recent| recent.item == Item::Asking)
            .map(|recent| recent.number)
    }

    /// How many items are tried first and have not all ended.
    #[must_use]
    pub fn canary(&self) -> Option<u32> {
        let canary = self.plan.map_or(0, |plan| plan.canary);
        (canary > 0 && !self.canary_over).then_some(canary)
    }

    /// How many items may be asked for now, whatever the rate.
    #[must_use]
    pub fn room(&self) -> u32 {
        if self.phase != Phase::Running {
            return 0;
        }
        let counts = &self.counts;
        let free = RUNNING_MAX.saturating_sub(counts.asking + counts.running);
        let canary = self
            .canary()
            .map_or(u32::MAX, |canary| canary.saturating_sub(counts.tried()));
        free.min(canary).min(counts.waiting)
    }
}
