//! Nothing is lost: whole processes and servers are killed while requests run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod load;
mod one_node;
mod truth;
