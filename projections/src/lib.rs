//! Views: pure folds of events, kept in Redis for reading. No other crate names redis.

mod check;
mod circuit;
mod connection;
mod error;
mod index;
mod key;
mod keys;
mod options;
pub mod permissions;
mod prefix;
mod project;
mod read;
mod script;
mod staging;
mod stopped;
mod store;
mod tasks;
mod view;
mod view_json;
mod views;
mod write;

pub use check::Difference;
pub use connection::Connection;
pub use error::Error;
pub use index::Placed;
pub use keys::{ViewKey, ViewKeys};
pub use options::Options;
pub use project::{fold, project};
pub use staging::Staging;
pub use stopped::StoppedView;
pub use store::Store;
pub use tasks::{AttemptView, ResultPlace, TaskStatus, TaskView, Tasks};
pub use view::{FailureView, GroupStatus, GroupView, RequestStatus, View};
pub use views::Kind;
