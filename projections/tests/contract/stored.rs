//! The exact keys, fields and values of every view. An instance of the previous build reads and
//! writes the same Redis, so none of them may change.

use std::fmt::Write as _;
use std::path::Path;

use domain::request::{
    Cancelled, Event, GroupIndex, GroupOutline, Payload, Received, Recorded, Redriven, RequestId,
    Run, Sequence, Succeeded, TaskNumber,
};
use harness::World;
use jiff::Timestamp;
use projections::{Staging, View, fold};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use crate::{done, failed, given_up, started, store};

fn id() -> RequestId {
    RequestId::of_key("ada", "k1")
}

/// A time in the future, because Redis deletes a key at its expiry.
fn at(sequence: u64) -> Timestamp {
    let seconds = 4_102_444_800 + i64::try_from(sequence).unwrap();
    Timestamp::new(seconds, 123_456_789).unwrap()
}

fn received() -> Event {
    let group = |name: Option<&str>, valuations| GroupOutline {
        name: name.map(ToOwned::to_owned),
        valuations,
    };
    Event::Received(Box::new(Received {
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: vec![group(Some("a \"name\""), 2), group(None, 3)],
        metadata: [("x-desk", "rates"), ("x-trader", "Ada L.")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        // As every view of earlier versions, which have no such field.
        submitter: "anonymous".into(),
        idempotency_key: Some("k 1".into()),
    }))
}

fn succeeded(response: Payload) -> Event {
    Event::Succeeded(Succeeded { response })
}

fn cancelled() -> Event {
    Event::Cancelled(Cancelled {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "wrong date".into(),
    })
}

fn redriven() -> Event {
    Event::Redriven(Redriven {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "again".into(),
        run: Run::new(1),
        group: Some(GroupIndex::FIRST),
        tasks: vec![TaskNumber::new(2)],
        task_count: None,
        deadline: at(900),
    })
}

/// Every history by its name. Each event is a commit of its own.
fn histories() -> Vec<(&'static str, Vec<Event>)> {
    let begun = || vec![received(), started(0), done(0, 1)];
    let with = |events: &[Event]| [begun(), events.to_vec()].concat();
    let stored = Payload::Stored {
        sha256: "ab".repeat(32),
        size: 123_456,
    };
    let completed = || Event::GroupCompleted {
        group: GroupIndex::FIRST,
    };
    vec![
        ("received", vec![received()]),
        ("running", begun()),
        (
            "succeeded",
            with(&[done(0, 2), completed(), succeeded("<vnml/>".into())]),
        ),
        (
            "succeeded-stored",
            with(&[done(0, 2), completed(), succeeded(stored)]),
        ),
        ("failed", with(&[given_up(0, 2), failed()])),
        ("redriven", with(&[given_up(0, 2), failed(), redriven()])),
        ("cancelled", with(&[cancelled()])),
    ]
}

fn view(events: Vec<Event>) -> View {
    let recorded = (1..).zip(events).map(|(sequence, event)| Recorded {
        request: id(),
        sequence: Sequence::new(sequence),
        index: 0,
        at: at(sequence),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        event,
    });
    fold(None, recorded).unwrap()
}

/// Every key in Redis, by name: its type, its expiry, and its fields or its value.
async fn dump(redis: &mut MultiplexedConnection) -> String {
    let mut keys: Vec<String> = redis.keys("*").await.unwrap();
    keys.sort_unstable();
    let mut text = String::new();
    for key in keys {
        let mut ask = redis::cmd("TYPE");
        let kind: String = ask.arg(&key).query_async(redis).await.unwrap();
        let expires: i64 = redis.expire_time(&key).await.unwrap();
        writeln!(text, "{key}\n  {kind}, expires at {expires}").unwrap();
        if kind == "hash" {
            let mut fields: Vec<(String, String)> = redis.hgetall(&key).await.unwrap();
            fields.sort_unstable();
            for (name, value) in fields {
                writeln!(text, "  {name}: {value}").unwrap();
            }
        } else {
            let value: String = redis.get(&key).await.unwrap();
            writeln!(text, "  {value}").unwrap();
        }
    }
    text
}

/// Restores the output of `dump`, with plain commands.
async fn load(redis: &mut MultiplexedConnection, text: &str) {
    let mut key = "";
    let mut hash = false;
    for line in text.lines() {
        match line.strip_prefix("  ") {
            None => key = line,
            Some(kind) if kind.contains(", expires at ") => hash = kind.starts_with("hash"),
            Some(field) if hash => {
                let (name, value) = field.split_once(": ").unwrap();
                let () = redis.hset(key, name, value).await.unwrap();
            }
            Some(value) => {
                let () = redis.set(key, value).await.unwrap();
            }
        }
    }
}

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/stored");
    let file = folder.join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn agrees(found: &str, name: &str) {
    assert_eq!(found, golden(name), "{name}");
}

#[tokio::test]
async fn the_stored_keys_and_fields_of_a_view_are_unchanged() {
    let world = World::own().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    for (name, events) in histories() {
        world.flush_redis().await;
        store.put(&view(events), Sequence::NONE).await.unwrap();
        agrees(&dump(redis).await, &format!("{name}.txt"));
    }
}

#[tokio::test]
async fn a_view_written_commit_by_commit_is_stored_in_the_same_form() {
    let world = World::own().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    for (name, events) in histories() {
        if !["succeeded", "redriven"].contains(&name) {
            continue;
        }
        world.flush_redis().await;
        let mut written = Sequence::NONE;
        for length in 1..=events.len() {
            let view = view(events[..length].to_vec());
            store.put(&view, written).await.unwrap();
            written = view.seq;
        }
        agrees(&dump(redis).await, &format!("{name}-step-by-step.txt"));
    }
}

#[tokio::test]
async fn a_view_of_an_earlier_version_is_read_and_agrees_with_the_log() {
    let world = World::own().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    for (name, events) in histories() {
        let view = view(events);
        world.flush_redis().await;
        load(redis, &golden(&format!("{name}.txt"))).await;
        let read = store.get(id()).await.unwrap();
        let redriven = view.redriven;
        let read = read.map(|read| View { redriven, ..read });
        assert_eq!(read.as_ref(), Some(&view), "{name}");
        // The keys were restored without their expiry.
        let compared = store.differences(std::slice::from_ref(&view)).await;
        let (seen, found) = compared.unwrap().remove(0);
        let fields: Vec<&str> = found.iter().map(|found| &*found.field).collect();
        let ended = view.completed_at.is_some();
        assert_eq!(
            fields,
            if ended { vec!["expiry"] } else { vec![] },
            "{name}"
        );
        assert_eq!(seen, view.seq, "{name}");
    }
}

#[tokio::test]
async fn a_staged_view_has_the_same_form() {
    let world = World::own().await;
    let staging: Staging = store(&world).await.staging("all");
    let redis = &mut world.redis().await;
    for (name, events) in histories() {
        let view = view(events);
        staging.keep(&[&view], &"progress").await.unwrap();
        let key = format!("rebuild:all:view:{}", id());
        let staged: String = redis.get(&key).await.unwrap();
        agrees(&(staged + "\n"), &format!("{name}.json"));
        assert_eq!(staging.views(&[id()]).await.unwrap(), [view], "{name}");
    }
}
