//! The basis of every role: settings, logs, shutdown, documents on their way between roles, and the
//! pool that works on documents.

mod address;
mod callback;
mod caught;
mod connections;
mod disk;
mod documents;
mod endpoints;
mod in_process;
mod logs;
mod poison;
mod pool;
mod printable;
mod settings;
mod shutdown;
mod since;
mod task_types;

pub use address::is_public;
pub use callback::callback;
pub use caught::caught;
pub use disk::Disk;
pub use documents::{Documents, PARSE_INLINE_MAX_BYTES};
pub use endpoints::{Endpoints, NoServer};
pub use in_process::InProcess;
pub use logs::start_logs;
pub use poison::strike;
pub use pool::{Cost, Pool, Unfinished};
pub use printable::{Form, PrintableLines, printable};
pub use settings::{
    ApiConfig, AuthMode, Aws, CallersConfig, ConnectionsConfig, Definition, Deployment, Facts,
    LOG_OUTLIVES, LogFormat, MASK, MetadataHeaders, Part, ProcessConfig, Quotas, ReferencesConfig,
    Secrecy, Settings, SettingsError, Source, TASK_TYPES, TenantConfig, Tenants, TopologyMode,
    WebhooksConfig, WorkerConfig, Wrong, changed_facts, credential, have_userinfo, read_secret,
    shown_urls,
};
pub use shutdown::Shutdown;
pub use since::{InvalidSince, since};
pub use task_types::{TaskType, TaskTypes};
