//! A collector and an executor in Python, on the definitions that OpenTelemetry publishes. They need
//! what `scripts/recipes.sh` installs. Without it, the test prints a note and passes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Program, World, until};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::document;
use crate::recipes::root;

/// The Python of `.tools/venv`, if it has the definitions.
async fn python() -> Option<PathBuf> {
    let python = root().join(".tools/venv/bin/python");
    let look = ["-c", "import opentelemetry.proto"];
    let has = Command::new(&python).args(look).output().await;
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: no opentelemetry-proto in .tools/venv (scripts/recipes.sh installs it)");
    None
}

/// Starts the collector. It appends the spans to a file.
fn collector(python: &Path, script: &str, port: u16, spans: &Path) -> Child {
    let mut to = std::fs::File::options();
    let to = to.create(true).append(true).open(spans).unwrap();
    let mut command = Command::new(python);
    command
        .args([script, "collect", &port.to_string()])
        .stdout(Stdio::from(to))
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn spans(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.lines().filter(|line| line.ends_with('}'));
    whole
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_run<'a>(spans: &'a [Value], request: &str) -> Option<&'a Value> {
    let mut spans = spans.iter();
    spans.find(|span| span["attributes"]["fanfold.request.id"] == request)
}

#[tokio::test]
async fn a_collector_in_python_reads_the_traces_and_an_executor_hangs_its_span_under_its_attempt() {
    let Some(python) = python().await else {
        return;
    };
    let world = World::start().await;
    let script = root().join("tests/e2e/traces.py").display().to_string();
    let file = world.folder().join("spans.jsonl");
    let port = servers::free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let mut running = collector(&python, &script, port, &file);
    until("the collector listens", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
    })
    .await;
    let executor = format!("command:{} {script} price {url}", python.display());
    let settings = [
        ("EXECUTOR", executor.as_str()),
        ("FANFOLD_TEST_RETRY_DELAY_MS", "20"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("FANFOLD_TEST_TRACE_RETRY_LONGEST_MS", "200"),
    ];
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let client = program.client();
    let id = client.submit(&document(2, 2), "").await.id();
    client.until_status(&id, "succeeded").await;
    // The executor posts its spans apart from the trace of the request.
    until("the trace is there, and what hangs under it", || async {
        let all = spans(&file);
        let is_there = |parent: &Value| all.iter().any(|other| other["id"] == *parent);
        let own = all.iter().filter(|span| span["name"] == "price");
        of_run(&all, &id).is_some() && own.filter(|span| is_there(&span["parent"])).count() == 6
    })
    .await;

    let all = spans(&file);
    let trace = id.replace('-', "");
    assert!(all.iter().all(|span| span["trace"] == trace));
    let own: Vec<&Value> = all.iter().filter(|span| span["name"] == "price").collect();
    assert_eq!(own.len(), 6, "two of four tasks are tried twice");
    for span in own {
        let attempt = all
            .iter()
            .find(|other| other["id"] == span["parent"])
            .unwrap();
        assert_eq!(attempt["kind"], "SPAN_KIND_CONSUMER");
        for name in ["task", "attempt"] {
            let of_attempt = attempt["attributes"][format!("fanfold.{name}")].to_string();
            assert_eq!(span["attributes"][name], of_attempt);
        }
        let fails = span["attributes"]["task"] == "2" && span["attributes"]["attempt"] == "1";
        assert_eq!(attempt["error"] == "exit-75", fails);
    }
    // The collector dies, requests end meanwhile, and another one takes its place.
    running.kill().await.unwrap();
    let mut missed = Vec::new();
    for _ in 0..5 {
        missed.push(client.submit(&document(1, 0), "").await.id());
    }
    for id in &missed {
        client.until_status(id, "succeeded").await;
    }
    until("it is told of", || async {
        program.log().contains("the collector takes no traces")
    })
    .await;
    let _running = collector(&python, &script, port, &file);
    for id in &missed {
        until("it is there", || async {
            of_run(&spans(&file), id).is_some()
        })
        .await;
    }
}
