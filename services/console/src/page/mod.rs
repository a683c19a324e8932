//! The pages besides those of one request.

pub mod dead_letters;
pub mod failures;
pub mod operation;
pub mod operations;
pub mod overview;
pub mod requests;
pub mod system;
