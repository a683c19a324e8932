//! The recipes of `examples/`, unchanged. They need Python with nats-py, or Node with its packages,
//! in `.tools/`. Without those, the tests print a note and pass.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Program, Reply, Valuer, World, result_of, until};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{document, up};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A running recipe. It is killed on drop.
struct Recipe {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Recipe {
    fn start(program: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .env("WORK_SECONDS", "0.05")
            .current_dir(root().join("examples/consumers"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(harness::LIMIT, self.lines.next_line());
        line.await
            .expect("a line in time")
            .unwrap()
            .expect("it goes on")
    }
}

/// The Python of `.tools/venv`, if it has nats-py.
pub async fn python() -> Option<PathBuf> {
    let python = root().join(".tools/venv/bin/python");
    let has = Command::new(&python)
        .args(["-c", "import nats"])
        .output()
        .await;
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: no nats-py in .tools/venv (scripts/recipes.sh installs it)");
    None
}

async fn follows_what_fails(program: &Path, args: &[&str]) {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 2 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let fanfold = up(&world, &valuer, &[]).await;
    let client = fanfold.client();
    let fail = async || {
        let id = client.submit(&document(1, 2), "").await.id();
        client.until_status(&id, "failed").await;
        id
    };
    let early = fail().await;
    client.submit(&document(1, 1), "sync=Y").await;
    let since = client.status(&fail().await).await.json();
    let args: Vec<&str> = args.iter().copied().chain([world.nats_url()]).collect();
    {
        let mut recipe = Recipe::start(program, &args);
        let line = recipe.line().await;
        assert!(
            line.contains(&early) && line.ends_with("tasks-failed"),
            "{line}"
        );
        recipe.line().await;
        let while_it_runs = fail().await;
        assert!(recipe.line().await.contains(&while_it_runs));
        // The recipe has acked the events that it printed, or will see them again.
        recipe.child.kill().await.unwrap();
    }
    let missed = fail().await;
    let mut again = Recipe::start(program, &args);
    while !again.line().await.contains(&missed) {}
    drop(again);

    // Another recipe catches up from a time: its durable consumer starts there.
    let jetstream = world.jetstream().await;
    let stream = jetstream.get_stream("LIFECYCLE").await.unwrap();
    for name in ["failed-watch", "failed-watch-ts"] {
        let _ = stream.delete_consumer(name).await;
    }
    let at = since["completedAt"].as_str().unwrap();
    let args: Vec<&str> = args.into_iter().chain([at]).collect();
    let line = Recipe::start(program, &args).line().await;
    assert!(
        line.contains(since["requestId"].as_str().unwrap()),
        "{line}"
    );
}

#[tokio::test]
async fn the_python_consumer_follows_failures_resumes_and_catches_up_from_a_time() {
    if let Some(python) = python().await {
        follows_what_fails(&python, &["failed.py"]).await;
    }
}

#[tokio::test]
async fn the_typescript_consumer_follows_failures_resumes_and_catches_up_from_a_time() {
    let tsx = root().join("examples/consumers/node_modules/.bin/tsx");
    if !tsx.exists() {
        eprintln!("skipped: no node_modules in examples/consumers (scripts/recipes.sh)");
        return;
    }
    // Run Node directly: `tsx` would be another process, which outlives its kill.
    follows_what_fails(Path::new("node"), &["--import", "tsx", "failed.ts"]).await;
}

#[tokio::test]
async fn a_python_worker_finishes_a_request_though_it_is_killed_in_the_middle() {
    let Some(python) = python().await else { return };
    let world = World::start().await;
    let settings = [("TASK_LEASE_MS", "1000")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let _orchestrator = start("orchestrator").await;
    let _projector = start("projector").await;
    let client = api.client();
    let id = client.submit(&document(2, 8), "").await.id();

    let worker = || Recipe::start(&python, &["../worker.py", world.nats_url()]);
    let mut first = worker();
    assert_eq!(first.line().await, "ready");
    assert!(first.line().await.starts_with("done tasks.default."));
    first.child.kill().await.unwrap();
    let _second = worker();
    client.until_status(&id, "succeeded").await;
    let results = client.results(&id).await.body;
    assert_eq!(results.matches("8.00").count(), 2, "{results}");
    until("every task was done by a worker in Python", || async {
        let tasks = client.get(&format!("/valuation/{id}/tasks")).await.json();
        let tasks = tasks["tasks"].as_array().unwrap();
        tasks.len() == 16
            && tasks.iter().all(|task| {
                let attempts = task["attempts"].as_array().unwrap();
                attempts
                    .iter()
                    .all(|a| a["worker"].as_str().unwrap().starts_with("python-"))
            })
    })
    .await;
}
