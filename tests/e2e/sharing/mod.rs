//! No caller can stop the others: shared resources have limits, and no address takes all of them.

mod bodies;
mod connections;
mod pages;
mod raw;
mod streams;
