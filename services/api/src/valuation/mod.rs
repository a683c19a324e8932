//! The routes below `/valuation`. The path of a route is the path of its file.

pub mod cancel;
pub mod check;
pub mod events;
pub mod follow;
pub mod intake;
pub mod outcome;
pub mod partial;
pub mod read;
pub mod redrive;
pub mod request_index;
pub mod results;
pub mod status;
pub mod stretch;
pub mod submit;
pub mod task;
pub mod task_index;
pub mod tasks;
pub mod waiters;
