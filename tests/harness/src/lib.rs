//! The harness of the tests: a real NATS and a real Redis for each test, the real program, and a
//! client of its HTTP API. Everything that the harness starts is removed on drop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    missing_docs
)]

mod backend;
mod certificates;
mod client;
mod cluster;
mod collector;
mod executor;
mod golden;
mod process;
mod program;
mod proxy;
mod receiver;
mod until;
mod world;

pub use certificates::Certificates;
pub use client::{Answer, Client};
pub use cluster::{NatsCluster, RedisCluster};
pub use collector::{CollectedSpan, Collector, TracePost};
pub use executor::{Reply, TaskCall, Valuer, priced, result_of};
pub use golden::{RequestCase, canonical, request_cases};
pub use process::policy;
pub use program::Program;
pub use proxy::Proxy;
pub use receiver::{Received, Receiver};
pub use rustix::process::Signal;
pub use until::{LIMIT, until, until_some};
pub use world::World;
