//! JetStream as the log and the queues. No other crate names async-nats.

mod account;
mod apply;
mod batch;
mod commit;
mod connection;
mod costs;
mod credentials;
mod dead_letters;
mod declare;
mod delivery;
mod denied;
mod deployment;
mod error;
mod execute;
mod feed;
mod feed_reader;
#[cfg(test)]
mod fits;
mod follow;
mod group_commit;
mod inspect;
mod log;
mod log_reader;
mod operations;
mod packed;
mod payloads;
mod pull;
mod quarantine;
mod queues;
mod read;
mod reports;
mod scan;
mod size;
mod state_cache;
mod stored;
mod subject;
mod tasks;
mod timers;
mod topology;
mod trace;

pub use commit::Commit;
pub use connection::{Connection, MINIMUM_SERVER, Options};
pub use dead_letters::{DeadLetter, DeadLetters, Filter, Kept, Letter, Page, Summary, Unread};
pub use delivery::{Deliveries, Delivery, Place, Unreadable};
pub use deployment::StoredFacts;
pub use error::Error;
pub use execute::{Advanced, ExecuteError, Receipt};
pub use feed::Feed;
pub use feed_reader::FeedReader;
pub use follow::{Follower, Notice};
pub use inspect::{Extent, Position, Queued, TASKS_LOOKED_AT};
pub use log::Log;
pub use log_reader::LogReader;
pub use operations::{ByWhom, Operation};
pub use payloads::{
    Hashed, INLINE_MAX_BYTES, Payloads, STORED_MAX_BYTES, payload_sha256, sha256, sha256_of,
};
pub use pull::{Pull, PullOptions};
pub use quarantine::{
    ALONE_MAX, Begun, ENDS_MAX, First, Mark, PANICS_MAX, Quarantine, Verdict, WAITING_MAX,
};
pub use queues::{Filling, Queues};
pub use read::CommitPage;
pub use reports::{Reports, StoredReport};
pub use scan::{Scan, Start, UnreadableCommit};
pub use size::MESSAGE_MAX_BYTES;
pub use state_cache::Loaded;
pub use stored::Stored;
pub use tasks::{Attempts, Stop, TaskMessage, Tasks};
pub use timers::Timers;
pub use topology::Topology;
