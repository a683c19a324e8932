//! The README's example and its commands, exactly as they are there.

use std::path::Path;
use std::process::Stdio;

use domain::document::{Limits, canonicalize};
use harness::{Valuer, World};
use tokio::process::Command;

use crate::{own_servers, up};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The fenced blocks of a language in the README.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let fences = text.split("```").skip(1).step_by(2);
    let of = fences.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    of.map(str::to_owned).collect()
}

/// A document without comments and indentation.
fn bare(xml: &str) -> String {
    canonicalize(xml.as_bytes(), &Limits::default()).unwrap()
}

#[tokio::test]
async fn the_request_in_the_readme_gets_the_answer_shown_there() {
    let xml = blocks("xml");
    let [request, answer] = &xml[..] else {
        panic!("a request and its answer: {}", xml.len())
    };
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("EXECUTOR", "reference")]).await;
    let answered = program.client().submit(request, "sync=Y").await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    assert_eq!(bare(&answered.body), bare(answer));
}

#[tokio::test]
async fn the_commands_in_the_readme_work() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[("EXECUTOR", "reference")]).await;
    let base = program.client().base().to_owned();
    let mut ran = 0;
    for script in blocks("sh") {
        if !script.contains("curl") || script.contains("quantlib") {
            continue;
        }
        // The test has a port of its own. A request that was only submitted may not have ended.
        let script = script.replace("http://127.0.0.1:8080", &base).replace(
            "\ncurl \"",
            "\ncurl --retry 20 --retry-all-errors --retry-delay 1 -fsS \"",
        );
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(root())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}\n{wrong}");
        assert!(said.contains("<amount>"), "{script}\n{said}\n{wrong}");
        ran += 1;
    }
    assert_eq!(ran, 2);
}

#[tokio::test]
async fn the_second_example_of_the_readme_works_where_quantlib_is_installed() {
    if !root().join(".tools/quantlib/bin/python").exists() {
        eprintln!("skipped: there is no QuantLib in .tools/quantlib (make quantlib-test)");
        return;
    }
    let scripts = blocks("sh");
    let script = scripts.iter().find(|script| script.contains("worker.py"));
    let file = scripts.iter().find_map(|script| {
        let (_, after) = script.split_once("FANFOLD_CONFIG=")?;
        after.split_whitespace().next()
    });
    let (script, file) = (script.unwrap(), root().join(file.unwrap()));
    let world = World::own().await;
    let data = world.folder().join("data");
    // The first start of this deployment has no task type of a file.
    let mut program = own_servers::up(&world, &data, "reference").await;
    program.stop().await;
    let config = [("FANFOLD_CONFIG", file.to_str().unwrap())];
    let program = own_servers::up_with(&world, &data, "reference", &config).await;
    let base = program.client().base().to_owned();
    // What the test needs is there; the worker is started in the background, and ended by the test.
    let script = script.replace("http://127.0.0.1:8080", &base);
    let script = script.replace("scripts/example-venv.sh quantlib", "true");
    let output = Command::new("bash")
        .args([
            "-euo",
            "pipefail",
            "-c",
            &format!("{script}\nkill %1; wait"),
        ])
        .current_dir(root())
        .env("DATA_DIR", &data)
        .env_remove("NATS_URL")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("<delta><amount>"),
        "{script}\n{said}\n{wrong}"
    );
    assert!(
        program.log().contains("external  quantlib"),
        "{}",
        program.log()
    );
}
