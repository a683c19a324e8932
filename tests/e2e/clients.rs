//! The clients and the worker libraries of `clients/`, by the stories that each of them must tell.
//! They need what `scripts/recipes.sh` installs. Without it, the tests print a note and pass.

use harness::{Program, World};
use tokio::process::Command;

use crate::recipes::{python, root};

/// The command that tells these stories in a language, where what it needs is installed.
async fn stories(file: &str, language: &str) -> Option<Command> {
    let clients = root().join("clients");
    if language == "typescript" && !clients.join("typescript/node_modules").exists() {
        eprintln!("skipped: no node_modules in clients/typescript (scripts/recipes.sh)");
        return None;
    }
    let mut command = Command::new(python().await?);
    command.arg(clients.join(file)).kill_on_drop(true);
    Some(command)
}

/// Runs the stories, of which there are at least this many.
async fn told(mut stories: Command, at_least: usize) {
    let told = stories.output().await.unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{said}{wrong}");
    let ok = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(ok >= at_least, "{said}");
}

/// Runs the stories of a client against the program.
async fn stories_of_client(language: &str) {
    let Some(mut stories) = stories("stories.py", language).await else {
        return;
    };
    let world = World::start().await;
    let file = root().join("clients/stories.toml").display().to_string();
    let settings = [("FANFOLD_CONFIG", file.as_str())];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let program = Program::start(binary, "up", &world, &settings).await;
    stories.arg(program.client().base()).arg(language);
    told(stories, 17).await;
}

/// Runs the stories of a worker library against every role but the worker.
async fn stories_of_worker(language: &str) {
    let Some(mut stories) = stories("worker_stories.py", language).await else {
        return;
    };
    let world = World::start().await;
    let settings = [("TASK_LEASE_MS", "2000")];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let orchestrator = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        settings[0],
    ];
    let orchestrator = Program::start(
        env!("CARGO_BIN_EXE_fanfold"),
        "orchestrator",
        &world,
        &orchestrator,
    );
    let _orchestrator = orchestrator.await;
    let _projector = start("projector").await;
    stories
        .arg(api.client().base())
        .arg(world.nats_url())
        .arg(language);
    told(stories, 12).await;
}

#[tokio::test]
async fn the_python_client_tells_every_story() {
    stories_of_client("python").await;
}

#[tokio::test]
async fn the_typescript_client_tells_every_story() {
    stories_of_client("typescript").await;
}

#[tokio::test]
async fn the_python_worker_library_tells_every_story() {
    stories_of_worker("python").await;
}

#[tokio::test]
async fn the_typescript_worker_library_tells_every_story() {
    stories_of_worker("typescript").await;
}
