//! What every role needs to run: settings, logs, shutdown.

mod logs;
mod settings;
mod shutdown;
mod task_types;

pub use logs::start_logs;
pub use settings::{Definition, Settings, SettingsError, Source};
pub use shutdown::Shutdown;
pub use task_types::{TaskType, TaskTypes};
