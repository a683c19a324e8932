//! The rules of a request and of its callers: pure, with no async of its own, no clock and no I/O.

pub mod access;
pub mod bulk;
pub mod derivation;
pub mod document;
mod failure_code;
pub mod feed;
pub mod request;

pub use failure_code::{FailureCode, Scope};
