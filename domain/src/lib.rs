//! What a request may do: pure, with no async, no clock and no I/O.

pub mod document;
