//! The behavior of a bulk operation, told as stories; the properties of every story; and its events
//! as the broker stores them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A broken story must stop the test.

mod canary;
mod ends;
mod properties;
mod stored;
mod story;
mod words;
