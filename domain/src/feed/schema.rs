use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Value, json};

use super::data;
use crate::request::EventKind;

/// The JSON Schema of an event's data.
#[must_use]
pub fn schema(event: EventKind) -> Value {
    let schema = match event {
        EventKind::Received => of::<data::Received>(),
        EventKind::ResourcesCaptured => of::<data::ResourcesCaptured>(),
        EventKind::GroupStarted => of::<data::GroupStarted>(),
        EventKind::TaskSucceeded => of::<data::TaskSucceeded>(),
        EventKind::TaskFailed => of::<data::TaskFailed>(),
        EventKind::GroupTimedOut => of::<data::GroupTimedOut>(),
        EventKind::GroupCompleted => of::<data::GroupCompleted>(),
        EventKind::Succeeded => of::<data::Succeeded>(),
        EventKind::Failed => of::<data::Failed>(),
        EventKind::Cancelled => of::<data::Cancelled>(),
        EventKind::Redriven => of::<data::Redriven>(),
        EventKind::Forked => of::<data::Forked>(),
    };
    let mut schema = schema.to_value();
    let name = event.name();
    schema["$id"] = json!(format!("/schemas/{name}.v1.json"));
    schema["title"] = json!(super::event_type(name));
    schema
}

fn of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}
