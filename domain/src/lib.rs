//! What a request may do: pure, with no async of its own, no clock and no I/O.

pub mod document;
pub mod feed;
pub mod request;
