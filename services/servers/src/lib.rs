//! The servers that `fanfold up` and the tests start: a real nats-server and a real redis-server on
//! loopback. Each is a child process with a data folder of its own.

mod error;
mod health;
mod memory;
mod nats;
mod port;
mod private;
mod program;
mod redis;
mod scheduling;
mod server;
mod staging;
mod stale;
mod supervise;

pub use error::Error;
pub use nats::{Cluster, NatsServer};
pub use port::{Port, free_port};
pub use private::{append_private, private_folder, write_private};
pub use program::find;
pub use redis::RedisServer;
pub use scheduling::{in_batch, put_in_batch};
pub use server::{Group, Server};
pub use staging::Staging;
pub use stale::kill_running;
pub use supervise::supervise;
