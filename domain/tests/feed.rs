//! The contract of the feed: its schemas and its `AsyncAPI` document change only on purpose, and
//! every event that the feed ever had can still be read.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use domain::feed::{self, asyncapi, schema};
use domain::request::EventKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn the_asyncapi_document_is_unchanged() {
    insta::assert_json_snapshot!(asyncapi());
}

#[test]
fn the_schemas_are_unchanged() {
    for kind in EventKind::all() {
        insta::assert_json_snapshot!(kind.name(), schema(kind));
    }
}

/// Reads data as its type and writes it again. No field may be lost.
fn through<T: DeserializeOwned + Serialize>(data: &Value) -> Value {
    let read: T = serde_json::from_value(data.clone()).unwrap();
    serde_json::to_value(read).unwrap()
}

fn read(event: EventKind, data: &Value) -> Value {
    match event {
        EventKind::Received => through::<feed::Received>(data),
        EventKind::ResourcesCaptured => through::<feed::ResourcesCaptured>(data),
        EventKind::GroupStarted => through::<feed::GroupStarted>(data),
        EventKind::TaskSucceeded => through::<feed::TaskSucceeded>(data),
        EventKind::TaskFailed => through::<feed::TaskFailed>(data),
        EventKind::GroupTimedOut => through::<feed::GroupTimedOut>(data),
        EventKind::GroupCompleted => through::<feed::GroupCompleted>(data),
        EventKind::Succeeded => through::<feed::Succeeded>(data),
        EventKind::Failed => through::<feed::Failed>(data),
        EventKind::Cancelled => through::<feed::Cancelled>(data),
        EventKind::Redriven => through::<feed::Redriven>(data),
        EventKind::Forked => through::<feed::Forked>(data),
    }
}

#[test]
fn every_stored_event_of_version_1_is_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/feed");
    let mut stored = 0;
    for kind in EventKind::all() {
        let event = kind.name();
        let file = folder.join(format!("{event}.v1.json"));
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let examples: Vec<Value> = serde_json::from_str(&text).unwrap();
        for example in examples {
            let again = read(kind, &example);
            for (field, value) in example.as_object().unwrap() {
                assert_eq!(&again[field], value, "{event}: {field}");
            }
            stored += 1;
        }
    }
    assert!(stored >= EventKind::all().count());
}
