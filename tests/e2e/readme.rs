//! The README's example and its commands, exactly as they are there.

use std::path::Path;
use std::process::Stdio;

use domain::document::{Limits, canonicalize};
use harness::{Valuer, World};
use tokio::process::Command;

use crate::up;

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
        if !script.contains("curl") {
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
