//! The JSON lines of the tool. Their fields are documented in `docs/replay.md`, and only grow.

use domain::request::{Event, Recorded};
use history::timeline::Entry;
use serde_json::{Value, json};

use history::words;

/// A line of a timeline.
pub fn of_entry(entry: &Entry) -> Value {
    json!({
        "sequence": entry.sequence,
        "at": entry.at,
        "event": entry.name,
        "times": entry.times,
        "text": words::entry(&entry.what),
    })
}

/// An event.
pub fn of_event(recorded: &Recorded<Event>) -> Value {
    let data = serde_json::to_value(&recorded.event).unwrap_or_default();
    // The stored form is one member named after the event. Here the name has a field of its own.
    let data = match data {
        Value::Object(members) => members.into_iter().next().map(|(_, data)| data),
        _ => None,
    };
    json!({
        "requestId": recorded.request,
        "sequence": recorded.sequence,
        "index": recorded.index,
        "at": recorded.at,
        "event": recorded.event.name(),
        "data": data,
    })
}
