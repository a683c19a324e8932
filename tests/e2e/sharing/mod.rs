//! No caller can stop the others: what callers share has limits, and no address takes all of it.

mod bodies;
mod connections;
mod pages;
mod raw;
mod streams;
