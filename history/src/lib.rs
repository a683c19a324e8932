//! Questions about requests, answered as data: what happened to a request, why, and whether it
//! would happen again.
//!
//! The answers come from the log at the broker or from a bundle, so that they are available while
//! Redis and the API are down. This crate writes nothing. It has no terminal, no HTTP and no
//! HTML, and it has the words for its answers (`words`), so that every face says the same.

pub mod audit;
pub mod bundle;
pub mod derive;
pub mod diff;
pub mod document;
pub mod documents;
mod error;
pub mod execute;
pub mod export;
pub mod failures;
pub mod filter;
pub mod freshness;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod heat;
pub mod listing;
pub mod live;
pub mod next;
mod pace;
pub mod point;
pub mod recent;
mod redact;
pub mod redecide;
pub mod rerun;
pub mod search;
pub mod source;
pub mod state;
pub mod story;
pub mod summary;
pub mod task;
pub mod timeline;
pub mod trace;
pub mod usual;
pub mod verify;
pub mod why;
pub mod words;

pub use error::Error;
