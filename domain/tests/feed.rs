//! The feed's contract: its schemas and its `AsyncAPI` document change only on purpose, and every
//! event that was ever stored in it can still be read.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use domain::feed::{self, EVENTS, asyncapi, schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn the_asyncapi_document_is_what_it_was() {
    insta::assert_json_snapshot!(asyncapi());
}

#[test]
fn the_schemas_are_what_they_were() {
    for event in EVENTS {
        insta::assert_json_snapshot!(event, schema(event).unwrap());
    }
    assert!(schema("other").is_none());
}

/// Reads data as its type and writes it again: all of it must be there.
fn through<T: DeserializeOwned + Serialize>(data: &Value) -> Value {
    let read: T = serde_json::from_value(data.clone()).unwrap();
    serde_json::to_value(read).unwrap()
}

fn read(event: &str, data: &Value) -> Value {
    match event {
        "received" => through::<feed::Received>(data),
        "resources-captured" => through::<feed::ResourcesCaptured>(data),
        "group-started" => through::<feed::GroupStarted>(data),
        "task-succeeded" => through::<feed::TaskSucceeded>(data),
        "task-failed" => through::<feed::TaskFailed>(data),
        "group-timed-out" => through::<feed::GroupTimedOut>(data),
        "group-completed" => through::<feed::GroupCompleted>(data),
        "succeeded" => through::<feed::Succeeded>(data),
        "failed" => through::<feed::Failed>(data),
        "cancelled" => through::<feed::Cancelled>(data),
        "redriven" => through::<feed::Redriven>(data),
        "forked" => through::<feed::Forked>(data),
        other => panic!("no event {other}"),
    }
}

#[test]
fn every_stored_event_of_version_1_is_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/feed");
    let mut stored = 0;
    for event in EVENTS {
        let file = folder.join(format!("{event}.v1.json"));
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let examples: Vec<Value> = serde_json::from_str(&text).unwrap();
        for example in examples {
            let again = read(event, &example);
            for (field, value) in example.as_object().unwrap() {
                assert_eq!(&again[field], value, "{event}: {field}");
            }
            stored += 1;
        }
    }
    assert!(stored >= EVENTS.len());
}
