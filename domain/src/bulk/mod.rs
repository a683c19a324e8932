//! Bulk operations: one action on many requests or dead letters, as an object with a history of its
//! own. The selection is fixed when the operation is drafted, and each of its items is in exactly
//! one state at any time, so the counts always add up.

mod command;
mod counts;
mod decide;
mod event;
mod evolve;
mod id;
mod item;
mod outlook;
mod state;
mod target;

pub use command::{Command, Rejection};
pub use counts::Counts;
pub use decide::decide;
pub use event::{
    Action, Actor, Asking, Cancelled, Drafted, Event, InvalidAction, Outcome, Paused, Plan,
    Started, Stopped, Told,
};
pub use evolve::evolve;
pub use id::{InvalidOperationId, OperationId};
pub use item::{Became, Item, ItemNumber};
pub use outlook::{OUTLOOK_REASONS_MAX, Outlook, Would};
pub use state::{Operation, Pause, Phase, Recent, State};
pub use target::{Selection, Target};

/// The most items of one operation.
pub const SELECTED_MAX: u32 = 10_000;
/// The most items that one commit asks for.
pub const ASKED_AT_ONCE: u32 = 200;
/// The most redriven requests of one operation that may run at once. The operation looks at each of
/// them until it ends.
pub const RUNNING_MAX: u32 = 1_000;
/// The maximum size of the reason of an item, in bytes.
pub const ITEM_REASON_MAX_BYTES: usize = 300;
/// The most items that a plan may ask for in a second.
pub const PER_SECOND_MAX: u32 = 1_000;
/// How many items an operation asks for in a second, unless its plan says otherwise.
pub const PER_SECOND_DEFAULT: u32 = 50;
