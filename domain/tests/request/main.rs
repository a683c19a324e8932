//! What a request may do, told as stories; the properties that hold for every story; and the
//! events as the log stores them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A story that breaks is to stop.
#![allow(clippy::wildcard_imports)] // The words are there to be used without ceremony.

mod arbitrary;
mod cancel;
mod capture;
mod cause;
mod delayed;
mod group;
mod late;
mod order;
mod reaction;
mod redrive;
mod retry;
mod runs;
mod simulation;
mod stored;
mod story;
mod stuck;
mod submit;
mod task;
mod time_out;
mod words;
