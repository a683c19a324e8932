use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Value, json};

use super::data;

/// The name of every public event.
pub const EVENTS: [&str; 12] = [
    "received",
    "resources-captured",
    "group-started",
    "task-succeeded",
    "task-failed",
    "group-timed-out",
    "group-completed",
    "succeeded",
    "failed",
    "cancelled",
    "redriven",
    "forked",
];

/// The JSON Schema of an event's data, by the event's name.
#[must_use]
pub fn schema(event: &str) -> Option<Value> {
    let schema = match event {
        "received" => of::<data::Received>(),
        "resources-captured" => of::<data::ResourcesCaptured>(),
        "group-started" => of::<data::GroupStarted>(),
        "task-succeeded" => of::<data::TaskSucceeded>(),
        "task-failed" => of::<data::TaskFailed>(),
        "group-timed-out" => of::<data::GroupTimedOut>(),
        "group-completed" => of::<data::GroupCompleted>(),
        "succeeded" => of::<data::Succeeded>(),
        "failed" => of::<data::Failed>(),
        "cancelled" => of::<data::Cancelled>(),
        "redriven" => of::<data::Redriven>(),
        "forked" => of::<data::Forked>(),
        _ => return None,
    };
    let mut schema = schema.to_value();
    schema["$id"] = json!(format!("/schemas/{event}.v1.json"));
    schema["title"] = json!(super::event_type(event));
    Some(schema)
}

fn of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}
