//! The public form of events. The lifecycle feed, the history over HTTP, and the schemas of both
//! follow from the types here. Within a version the form only grows.

mod asyncapi;
mod data;
mod envelope;
mod schema;
mod told;

pub use asyncapi::asyncapi;
pub use data::{
    Cancelled, Data, Failed, Forked, GroupCompleted, GroupStarted, GroupTimedOut, Next, Received,
    Redriven, ResourcesCaptured, Succeeded, TaskFailed, TaskSucceeded,
};
pub use envelope::{CloudEvent, SOURCE, event_type};
pub use schema::schema;
pub use told::{GROUPS_MAX, URI_MAX_BYTES, URIS_MAX};
