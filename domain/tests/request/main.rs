//! What a request may do, told as stories; the properties that hold for every story; and the
//! events as the log stores them.

mod arbitrary;
mod cancel;
mod capture;
mod group;
mod late;
mod order;
mod reaction;
mod redrive;
mod retry;
mod simulation;
mod stored;
mod story;
mod submit;
mod task;
mod time_out;
mod words;
