//! The views as folds: their content, and that a redelivery does not change it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A broken story must stop the test.

mod agree;
mod history;
mod redelivery;
mod tell;
mod words;
