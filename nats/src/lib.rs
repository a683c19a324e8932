//! JetStream as the log and the queues. No other crate names async-nats.

mod commit;
mod connection;
mod dead_letters;
mod delivery;
mod error;
mod execute;
mod feed;
mod follow;
mod log;
mod payloads;
mod pull;
mod read;
mod reports;
mod scan;
mod sent;
mod subject;
mod tasks;
mod timers;
mod topology;

pub use commit::Commit;
pub use connection::{Connection, MINIMUM_SERVER, Options};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use delivery::{Deliveries, Delivery, Unreadable};
pub use error::Error;
pub use execute::{ExecuteError, Receipt};
pub use feed::Feed;
pub use follow::{Follower, Notice};
pub use log::{Loaded, Log};
pub use payloads::{INLINE_MAX_BYTES, Payloads};
pub use pull::{Pull, PullOptions};
pub use reports::{Reports, StoredReport};
pub use scan::Scan;
pub use sent::{Sent, Stored};
pub use tasks::{Attempts, TaskMessage, Tasks};
pub use timers::Timers;
pub use topology::Topology;
