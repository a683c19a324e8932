//! Views: pure folds of events, kept in Redis for reading. No other crate names redis.

mod connection;
mod error;
mod index;
mod key;
mod project;
mod script;
mod stopped;
mod store;
mod tasks;
mod view;

pub use connection::Connection;
pub use error::Error;
pub use index::Placed;
pub use project::{fold, project};
pub use stopped::StoppedView;
pub use store::Store;
pub use tasks::{AttemptView, TaskStatus, TaskView, tasks_of};
pub use view::{FailureView, GroupStatus, GroupView, View};
