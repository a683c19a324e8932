//! End-to-end tests: the real program, its HTTP API and real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod answers;
mod aside;
mod attempts;
mod backlog;
mod bad_input;
mod bulk;
mod callers;
mod cancel;
mod clients;
mod clock;
mod connections;
mod console;
mod contained;
mod contract;
mod dead_letters;
mod deployment;
mod dev;
mod duplicates;
mod early;
mod failure;
mod foreign;
mod foreign_collector;
mod full_disk;
mod golden;
mod handover;
mod health;
mod history;
mod idempotency;
mod in_line;
mod large_groups;
mod lease;
mod life;
mod listing;
mod logs;
mod metrics;
mod no_commit;
mod overload;
mod own_servers;
mod pages;
mod permissions;
mod poison;
mod problems;
mod projector;
mod queues;
mod quotas;
mod readme;
mod recipes;
mod reconciler;
mod redrive;
mod remote;
mod replay;
mod replicas;
mod resources;
mod secrets;
mod sharing;
mod stuck;
mod sync;
mod tenants;
mod time_out;
mod tls;
mod trace;
mod traces;
mod unconfirmed;
mod waiting;
mod walkthrough;
mod webhooks;
mod worker_check;

use async_nats::jetstream::message::StreamMessage;
use futures::StreamExt as _;
use harness::{Answer, Client, Program, Valuer, World};
use reqwest::Method;
use serde_json::Value;

/// Starts the program with every role, and a service that values its tasks.
async fn up(world: &World, valuer: &Valuer, settings: &[(&str, &str)]) -> Program {
    let mut all = vec![
        ("EXECUTOR", valuer.url()),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "20"),
    ];
    all.extend(settings);
    Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", world, &all).await
}

/// A settings file in which the answers of the service are told as causes.
fn telling(world: &World, valuer: &Valuer) -> String {
    let file = world.folder().join("telling.toml");
    let text = format!(
        "[[task-types]]\nname = 'default'\n[task-types.executor]\nkind = 'http'\n\
         url = '{}'\ntell-answers = true\n",
        valuer.url()
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A document of this many groups with this many valuations each.
fn document(groups: usize, tasks: usize) -> String {
    let valuation = "<valuation name=\"v\"><market select=\"/vnml/project/market[1]\"/>\
                     <analytics><price><amount/></price></analytics></valuation>";
    let valuations = valuation.repeat(tasks);
    let group = |number| format!("<group name=\"g{number}\">{valuations}</group>");
    let groups = (0..groups).map(group).collect::<Vec<_>>().concat();
    format!("<vnml><project><market name=\"m\"><rate>0.03</rate></market>{groups}</project></vnml>")
}

/// The output of a subcommand, and whether it succeeded.
struct Said {
    ok: bool,
    out: String,
    err: String,
}

/// Runs a subcommand against the servers of a world.
async fn fanfold(world: &World, args: &[&str]) -> Said {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .args(args)
        .env("NATS_URL", world.nats_url())
        .env("REDIS_URL", world.redis_url())
        .env("USER", "tester")
        .output()
        .await
        .unwrap();
    Said {
        ok: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Checks that no request is without progress for longer than its timeouts and a few seconds
/// explain.
async fn nothing_is_stuck(world: &World) {
    let said = fanfold(world, &["requests", "stuck", "--after", "3"]).await;
    assert!(said.ok, "{}{}", said.out, said.err);
    assert_eq!(said.err, "0 stuck\n");
}

/// Posts JSON.
async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    let call = client.call(Method::POST, path);
    let call = call.header("content-type", "application/json");
    client.send(call.body(body.to_string())).await
}

/// The events of a request as its commits name them, in order.
async fn history(world: &World, id: &str) -> Vec<String> {
    let log = world
        .jetstream()
        .await
        .get_stream("REQUESTS_0")
        .await
        .unwrap();
    let last = log.cached_info().state.last_sequence;
    let mut events = Vec::new();
    for sequence in 1..=last {
        let message = log.get_raw_message(sequence).await.unwrap();
        if message.subject.ends_with(id) {
            let names = message.headers.get("Fanfold-Events").unwrap();
            events.extend(names.as_str().split(',').map(str::to_owned));
        }
    }
    events
}

/// The event of a request in the feed, if it is there. The subject has events of other requests too.
async fn feed_event(world: &World, event: &str, id: &str) -> Option<StreamMessage> {
    let feed = world.jetstream().await.get_stream("LIFECYCLE").await;
    let feed = feed.unwrap();
    let request: domain::request::RequestId = id.parse().unwrap();
    let at = format!("lifecycle.{event}.{}", request.partition());
    let mut next = 1;
    loop {
        let found = feed.get_first_raw_message_by_subject(&at, next).await;
        let message = found.ok()?;
        if message.headers.get("ce-subject").unwrap().as_str() == id {
            return Some(message);
        }
        next = message.sequence + 1;
    }
}

/// The number of messages in a queue, without the mark that the queue is filled.
async fn messages(world: &World, queue: &str) -> usize {
    let stream = world.jetstream().await.get_stream(queue).await.unwrap();
    let subjects = stream.info_with_subjects(">").await.unwrap();
    let messages = subjects.map(|subject| subject.unwrap());
    let messages = messages.filter(|(subject, _)| {
        let mark = subject.starts_with("filled.") || subject.starts_with("filling.");
        std::future::ready(!mark)
    });
    messages
        .map(|(_, count)| count)
        .collect::<Vec<_>>()
        .await
        .iter()
        .sum()
}
