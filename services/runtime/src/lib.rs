//! What every role needs to run: settings, logs, shutdown, and documents on their way between roles.

mod behind;
mod caught;
mod documents;
mod logs;
mod operator;
mod poison;
mod settings;
mod shutdown;
mod since;
mod stuck;
mod task_types;

pub use behind::oldest_unprojected;
pub use caught::caught;
pub use documents::{Documents, PARSE_INLINE_MAX_BYTES};
pub use logs::start_logs;
pub use operator::{Answer, Change, Changed, Operator, REASON_MAX_CHARS, Why, WhyError};
pub use poison::strike;
pub use settings::{Definition, Settings, SettingsError, Source};
pub use shutdown::Shutdown;
pub use since::{InvalidSince, since};
pub use stuck::{STUCK_AFTER, StuckWatch};
pub use task_types::{TaskType, TaskTypes};
