//! `fanfold submit` and `fanfold watch`, which call the API.

use std::process::Stdio;

use harness::{Program, Valuer, World};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::callers::KeyRing;
use crate::document;

/// What a command said, and its code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs a command that knows the API's address alone.
async fn call(program: &Program, args: &[&str], key: Option<&str>, input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    command
        .args(args)
        .env_clear()
        .env("FANFOLD_URL", program.client().base())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(key) = key {
        command.env("FANFOLD_KEY", key);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that refuses its arguments does not read.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn up(world: &World, valuer: &Valuer, settings: &[(&str, &str)]) -> Program {
    let mut all = vec![("EXECUTOR", valuer.url()), ("MAX_TASK_ATTEMPTS", "1")];
    all.extend(settings);
    Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", world, &all).await
}

#[tokio::test]
async fn a_document_is_submitted_waited_for_and_followed_from_the_command_line() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let document = document(2, 3);

    let waited = call(&program, &["submit", "-", "--wait"], None, &document).await;
    assert_eq!(waited.code, 0, "{}", waited.err);
    assert!(
        waited.out.starts_with("<?xml") || waited.out.starts_with('<'),
        "{}",
        waited.out
    );
    assert_eq!(waited.out.matches("<amount>").count(), 6, "{}", waited.out);

    let path = world.folder().join("document.xml");
    std::fs::write(&path, &document).unwrap();
    let file = path.to_str().unwrap();
    let args = ["submit", file, "--follow", "--idempotency-key", "desk-7"];
    let followed = call(&program, &args, None, "").await;
    assert_eq!(followed.code, 0, "{}", followed.err);
    let lines: Vec<&str> = followed.out.lines().collect();
    let (id, events) = lines.split_first().unwrap();
    assert!(events[0].contains("  received "), "{events:?}");
    assert!(events.last().unwrap().contains("  succeeded"), "{events:?}");

    // The same key and document are the same request.
    let args = [
        "submit",
        file,
        "-H",
        "x-desk: rates",
        "--idempotency-key",
        "desk-7",
    ];
    let again = call(&program, &args, None, "").await;
    assert_eq!((again.code, again.out.trim()), (0, *id), "{}", again.err);
    let watched = call(&program, &["watch", id, "--json"], None, "").await;
    assert_eq!(watched.code, 0, "{}", watched.err);
    let kinds: Vec<Value> = watched
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(kinds.len(), events.len());
    assert_eq!(kinds[0]["type"], "fanfold.request.received.v1");
}

#[tokio::test]
async fn a_request_that_fails_ends_the_command_with_2_and_the_reason() {
    let world = World::start().await;
    let valuer = Valuer::start(async |_| harness::Reply::Status(422, "no curve".into())).await;
    let program = up(&world, &valuer, &[]).await;
    let document = document(1, 1);
    for args in [&["submit", "-", "--wait"][..], &["submit", "-", "--follow"]] {
        let said = call(&program, args, None, &document).await;
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        assert!(said.out.contains("failed") || said.err.contains("tasks-failed: "));
    }
    let wrong = call(&program, &["submit", "-"], None, "<vnml>").await;
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.err.contains("malformed") || wrong.err.contains("xml"),
        "{}",
        wrong.err
    );
    let unknown = "01a20d07-ceb0-71d2-8a80-d677f6148452";
    let said = call(&program, &["watch", unknown], None, "").await;
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("unknown-request"), "{}", said.err);
}

#[tokio::test]
async fn a_command_calls_with_the_key_that_it_is_given() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let ring = KeyRing::new(&world);
    let key = ring.key("desk", &["default:submit"]).await;
    let program = up(&world, &valuer, &[("AUTH_KEYS_FILE", &ring.0)]).await;
    let document = document(1, 1);
    let refused = call(&program, &["submit", "-", "--wait"], None, &document).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("unauthenticated: "), "{}", refused.err);
    let taken = call(&program, &["submit", "-", "--wait"], Some(&key), &document).await;
    assert_eq!(taken.code, 0, "{}", taken.err);
    let file = world.folder().join("key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let args = [
        "submit",
        "-",
        "--wait",
        "--key-file",
        file.to_str().unwrap(),
    ];
    let taken = call(&program, &args, None, &document).await;
    assert_eq!(taken.code, 0, "{}", taken.err);
}
