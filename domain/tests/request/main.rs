//! The behavior of a request, told as stories; the properties of every story; and the events as the
//! log stores them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A broken story must stop the test.
#![allow(clippy::wildcard_imports)] // Stories use the vocabulary by its short names.

mod arbitrary;
mod cancel;
mod capture;
mod cause;
mod delayed;
mod exhausted;
mod group;
mod late;
mod needs;
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
