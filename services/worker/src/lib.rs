//! What a Fanfold worker does with a task.

pub mod executor;
