//! The views as folds: what they say, and that a redelivery changes nothing of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A story that breaks is to stop.

mod agree;
mod history;
mod redelivery;
mod tell;
mod words;
