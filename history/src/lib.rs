//! Questions about requests, answered as data: what happened to a request, why, and whether it
//! would happen again.
//!
//! The answers come from the log at the broker or from a bundle, so that they are available while
//! Redis and the API are down. This crate writes nothing. It has no terminal output: the API and
//! the command line each phrase the answers themselves.

pub mod bundle;
pub mod derive;
pub mod diff;
pub mod documents;
mod error;
pub mod execute;
pub mod export;
pub mod filter;
pub mod freshness;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod live;
mod pace;
pub mod point;
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
pub mod usual;
pub mod verify;
pub mod why;

pub use error::Error;
