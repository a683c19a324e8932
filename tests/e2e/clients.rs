//! The clients of `clients/`, by the stories that each of them must tell. They need what
//! `scripts/recipes.sh` installs. Without it, the tests print a note and pass.

use harness::{Program, World};
use tokio::process::Command;

use crate::recipes::{python, root};

/// Runs the stories of a client against the program.
async fn stories_of(language: &str) {
    let Some(python) = python().await else { return };
    let clients = root().join("clients");
    if language == "typescript" && !clients.join("typescript/node_modules").exists() {
        eprintln!("skipped: no node_modules in clients/typescript (scripts/recipes.sh)");
        return;
    }
    let world = World::start().await;
    let file = clients.join("stories.toml").display().to_string();
    let settings = [("FANFOLD_CONFIG", file.as_str())];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let program = Program::start(binary, "up", &world, &settings).await;
    let mut stories = Command::new(python);
    stories
        .arg(clients.join("stories.py"))
        .arg(program.client().base())
        .arg(language);
    let told = stories.kill_on_drop(true).output().await.unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{said}{wrong}");
    assert!(
        said.lines().filter(|line| line.starts_with("ok ")).count() > 10,
        "{said}"
    );
}

#[tokio::test]
async fn the_python_client_tells_every_story() {
    stories_of("python").await;
}

#[tokio::test]
async fn the_typescript_client_tells_every_story() {
    stories_of("typescript").await;
}
