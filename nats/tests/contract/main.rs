//! The contract with JetStream, against a real server and a real cluster of three.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absence;
mod access;
mod bulk;
mod check;
mod commands;
mod credentials;
mod dead_letters;
mod denied;
mod deployment;
mod feed;
mod follow;
mod group_commit;
mod handover;
mod limits;
mod log;
mod no_commit;
mod payloads;
mod quarantine;
mod queue;
mod queues;
mod scan;
mod silent;
mod stale;
mod timers;
mod topology;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::request::{Event, Payload, Received, RequestId};
use nats::{Connection, Log, Options, Origin, Topology};

/// A connection with the streams declared.
async fn connect(url: &str, topology: &Topology) -> Connection {
    let connection = Connection::open(&Options::new(url, "contract"))
        .await
        .unwrap();
    // A new cluster may take a moment to place a stream.
    harness::until("the streams are declared", || async {
        topology.declare(&connection).await.is_ok()
    })
    .await;
    connection
}

/// The origin of tasks of the tenant `default` that belong to no trace.
static ORIGIN: LazyLock<Origin> = LazyLock::new(Origin::default);

async fn log(url: &str, topology: &Topology) -> Log {
    Log::new(connect(url, topology).await, topology.shards)
}

fn new_id() -> RequestId {
    RequestId::new(uuid::Uuid::now_v7())
}

fn submission(document: &str) -> Box<Received> {
    Box::new(Received {
        document: Payload::from(document),
        fingerprint: document.to_owned(),
        groups: Vec::new(),
        metadata: BTreeMap::new(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    })
}

fn received(document: &str) -> Event {
    Event::Received(submission(document))
}

/// A text of this many bytes that compresses to hardly less than half of its size.
fn dense(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    let mut last = uuid::Uuid::now_v7().to_string();
    while text.len() < bytes {
        last = nats::sha256(last.as_bytes());
        text.push_str(&last);
    }
    text.truncate(bytes);
    text
}
