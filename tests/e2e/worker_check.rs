//! `fanfold worker-check`: it finds nothing in the project's worker libraries, and each fault in a
//! worker that has it. The workers need what `scripts/recipes.sh` installs. Without it, the tests
//! print a note and pass.

use std::path::Path;
use std::process::Output;

use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::process::Command;

use crate::recipes::{python, root};

/// How many workers are checked at once.
const AT_ONCE: usize = 4;

/// A task document with a valuation of this name.
fn document(folder: &TempDir, name: &str) -> String {
    let text = format!(
        "<vnml><project><group><valuation name=\"{name}\"><analytics><price><amount/></price>\
         </analytics></valuation></group></project></vnml>"
    );
    let path = folder.path().join(format!("{name}.xml"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Checks a worker by some of the rules, or by all.
async fn checked(only: &[&str], failing: &str, folder: &Path, worker: &[&str]) -> (Output, String) {
    let documents = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    command.arg("worker-check");
    for (flag, name) in [
        ("--document", "plain"),
        ("--failing", failing),
        ("--slow", "sleep-3"),
        ("--trace", "trace"),
    ] {
        command.args([flag, &document(&documents, name)]);
    }
    for rule in only {
        command.args(["--only", rule]);
    }
    let output = command
        .args([
            "--grace",
            "5",
            "--patience",
            "10",
            "--lease-ms",
            "1500",
            "--",
        ])
        .args(worker)
        .current_dir(folder)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said + &wrong)
}

async fn is_right(folder: &str, worker: &[&str]) {
    let folder = root().join("clients").join(folder);
    // A failure that is tried again, and one that is not.
    for (failing, unchecked) in [("again-9", 0), ("never", 1)] {
        let only: &[&str] = if unchecked == 0 {
            &[]
        } else {
            &["failure", "last", "earlier"]
        };
        let (output, said) = checked(only, failing, &folder, worker).await;
        assert!(output.status.success(), "{said}");
        let wanted = format!("0 wrong, {unchecked} rules not checked");
        assert!(said.contains(&wanted), "{said}");
    }
}

#[tokio::test]
async fn a_worker_with_the_python_library_does_what_the_protocol_wants() {
    let Some(python) = python().await else { return };
    let python = std::path::absolute(python).unwrap().display().to_string();
    is_right("python", &[&python, "example_worker.py", "{nats}", "8"]).await;
}

#[tokio::test]
async fn a_worker_with_the_typescript_library_does_what_the_protocol_wants() {
    if !root().join("clients/typescript/node_modules").exists() {
        eprintln!("skipped: no node_modules in clients/typescript (scripts/recipes.sh)");
        return;
    }
    let worker = [
        "node",
        "--import",
        "tsx",
        "example_worker.ts",
        "{nats}",
        "8",
    ];
    is_right("typescript", &worker).await;
}

/// Each fault of `clients/wrong_worker.py`, the rule that finds it, and a part of what is said.
const FAULTS: &[(&str, &str, &str)] = &[
    ("no-pull", "task", "it took no task"),
    (
        "ends",
        "task",
        "the worker ended by itself (exit status: 4)",
    ),
    ("ack-first", "task", "answered +ACK before it reported"),
    ("no-report", "task", "answered +ACK and reported nothing"),
    (
        "no-answer",
        "task",
        "reported the task and never answered it",
    ),
    (
        "no-reply",
        "task",
        "published its report without a reply subject",
    ),
    ("naks", "task", "answered -NAK to a task that succeeded"),
    ("form", "task", "its report cannot be read"),
    ("no-result", "task", "its result is none"),
    ("given", "task", "`given.sha256` is not the SHA-256"),
    ("attempt", "counts", "it reported attempt 1 for attempt 5"),
    ("run", "counts", "it reported run 0 for run 2"),
    (
        "no-again",
        "counts",
        "header Fanfold-Again and its report has not",
    ),
    (
        "inline",
        "large",
        "bytes in it: store what is over 65536 bytes",
    ),
    (
        "elsewhere",
        "large",
        "the result that it reported cannot be fetched",
    ),
    (
        "no-store",
        "large",
        "the task has the header Fanfold-Stored",
    ),
    ("no-trace", "trace", "is not in the result: hand the header"),
    ("impatient", "unreported", "while the broker took no report"),
    ("no-reply", "unreported", "so the outcome is lost"),
    (
        "one-connection",
        "restart",
        "after the server was restarted",
    ),
    (
        "no-delay",
        "failure",
        "reported `retry-at` and answered +ACK",
    ),
    (
        "no-letter",
        "last",
        "attempt 3 of 3 failed, and it wants another one",
    ),
    (
        "letter-late",
        "last",
        "reported the dead letter before it had published it",
    ),
    (
        "no-fence",
        "last",
        "without Nats-Expected-Last-Subject-Sequence: 0",
    ),
    (
        "counts-all",
        "earlier",
        "gave a task up at the first attempt after a redrive",
    ),
    (
        "no-look",
        "letter",
        "it ran a task whose dead letter is there",
    ),
    ("no-signs", "lease", "it showed no sign of life"),
    ("signs-alone", "lease", "sent +WPI without a reply subject"),
    (
        "late-task",
        "late",
        "to a task that came while it was suspended",
    ),
    (
        "late-answer",
        "lost",
        "to a task whose lease had ended while it was suspended",
    ),
    ("no-stop", "stop", "a task that nobody wants any more"),
    (
        "dies",
        "end",
        "tasks unanswered, which wait for the end of their leases",
    ),
    (
        "exit-code",
        "end",
        "ended with exit status: 3 after SIGTERM",
    ),
    ("stays", "end", "it did not end within 5s after SIGTERM"),
    (
        "fails-at-end",
        "end",
        "reported failed attempts for tasks that it could not finish",
    ),
];

#[tokio::test]
async fn each_fault_of_a_worker_is_found_and_said_in_a_sentence() {
    let Some(python) = python().await else { return };
    let python = std::path::absolute(python).unwrap().display().to_string();
    let checks = FAULTS.iter().map(|(fault, rule, says)| {
        let python = python.clone();
        async move {
            let worker = [python.as_str(), "wrong_worker.py", fault];
            let clients = root().join("clients");
            let (output, said) = checked(&[rule], "fails", &clients, &worker).await;
            let found = output.status.code() == Some(2) && said.contains(says);
            (!found).then(|| format!("{fault}: not found \"{says}\" in\n{said}"))
        }
    });
    let missed: Vec<String> = futures::stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
