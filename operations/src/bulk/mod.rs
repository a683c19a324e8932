//! Bulk operations: one action on many requests or dead letters. The rules are in the domain; here
//! are the selection, the commands of people, and the execution.

mod board;
mod commands;
mod executor;
mod folded;
mod perform;
mod select;
mod told;
mod watch;
mod would;

#[cfg(test)]
mod tests;

pub use commands::{BulkError, Order};
pub use executor::Executor;
pub use folded::Folded;
pub use select::{Select, Selected};
pub use told::{ItemsPage, Page, Told};
pub use watch::ANSWERS_WITHIN;

pub(crate) use board::Board;
