//! Views: pure folds of events, kept in Redis for reading. No other crate names redis.

mod connection;
mod error;
mod key;
mod project;
mod script;
mod stopped;
mod store;
mod view;

pub use connection::Connection;
pub use error::Error;
pub use project::{fold, project};
pub use stopped::StoppedView;
pub use store::Store;
pub use view::{FailureView, GroupStatus, GroupView, View};
