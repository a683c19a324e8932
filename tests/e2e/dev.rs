//! `fanfold new worker` and `fanfold dev`, by the commands of the README that comes with a worker.
//! They need what `scripts/recipes.sh` installs. Without it, the tests print a note and pass.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Client, World, until, until_some};
use rustix::process::{Pid, Signal, kill_process};
use servers::free_port;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::recipes::{python, root};

const BINARY: &str = env!("CARGO_BIN_EXE_fanfold");

/// A folder that `fanfold new worker` made, with the packages of this machine.
struct Made {
    folder: PathBuf,
    data: PathBuf,
    http: u16,
    python: String,
}

async fn made(world: &World, language: &str, task_type: &str) -> Option<Made> {
    let python = python().await?;
    let modules = root().join("clients/typescript/node_modules");
    if language == "typescript" && !modules.exists() {
        eprintln!("skipped: no node_modules in clients/typescript (scripts/recipes.sh)");
        return None;
    }
    let folder = world.folder().join("made");
    let made = Command::new(BINARY)
        .args(["new", "worker", language, "--type", task_type])
        .arg(&folder)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    if language == "typescript" {
        let modules = modules.canonicalize().unwrap();
        std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
    }
    Some(Made {
        data: folder.join(".fanfold"),
        folder,
        http: free_port().unwrap(),
        python: std::path::absolute(python).unwrap().display().to_string(),
    })
}

impl Made {
    /// The command of its README that has this in it.
    fn command(&self, part: &str) -> Command {
        let readme = std::fs::read_to_string(self.folder.join("README.md")).unwrap();
        let mut lines = readme.lines().filter(|line| line.contains(part));
        let line = lines.find(|line| !line.contains('`')).unwrap();
        let line = line.replace("venv/bin/python", &self.python);
        let line = line.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.http));
        let line = line.replace("fanfold ", &format!("exec {BINARY} "));
        let mut command = Command::new("bash");
        command
            .args(["-euc", &line])
            .current_dir(&self.folder)
            .env("DATA_DIR", &self.data)
            .env("HTTP_PORT", self.http.to_string())
            .env("ADMIN_PORT", "0")
            .env("FANFOLD_TEST_NATS_PORT", "0")
            .env("FANFOLD_TEST_REDIS_PORT", "0")
            .env_remove("NATS_URL")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn said(&self, part: &str) -> String {
        let output = self.command(part).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{part}: {said}{wrong}");
        said
    }
}

/// A running `fanfold dev`.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    async fn start(made: &Made) -> Self {
        let mut child = made
            .command("fanfold dev --config")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut dev = Self { child, lines };
        dev.until("dev: started the worker").await;
        dev
    }

    /// Reads lines up to one that has this in it.
    async fn until(&mut self, part: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended before it said {part}"));
                if line.contains(part) {
                    return line;
                }
            }
        };
        let found = tokio::time::timeout(harness::LIMIT, found).await;
        found.unwrap_or_else(|_| panic!("it did not say {part}"))
    }
}

fn change(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn a_new_worker_values_at_once_and_dev_restarts_it_when_its_file_changes_or_it_is_killed() {
    let world = World::own().await;
    let Some(made) = made(&world, "python", "bond").await else {
        return;
    };
    let mut dev = Dev::start(&made).await;
    let response = made.said("curl").await;
    assert!(response.contains("<amount>105.00</amount>"), "{response}");
    let line = dev.until("succeeded").await;
    assert!(
        line.contains("1 groups, 1 tasks, 0 failed attempts"),
        "{line}"
    );

    change(&made.folder.join("worker.py"), "1.05 *", "2 *");
    let line = dev.until("has changed").await;
    assert!(line.contains("worker.py"), "{line}");
    dev.until("dev: started the worker").await;
    assert!(made.said("curl").await.contains("<amount>200.00</amount>"));

    change(&made.folder.join("request.xml"), "<amount/>", "");
    let failed = made.command("curl").output().await.unwrap();
    let failed = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(failed.contains("nothing-to-value"), "{failed}");
    dev.until("failed: nothing-to-value: there is no principal")
        .await;
    change(
        &made.folder.join("request.xml"),
        "<price>",
        "<price><amount/>",
    );

    let fault = made.said("--fault worker").await;
    assert_eq!(fault, "killed the worker\n");
    dev.until("dev: the worker ended (signal: 9 (SIGKILL))")
        .await;
    dev.until("dev: started the worker").await;
    assert!(made.said("curl").await.contains("200.00"));
    for part in ["nats", "redis"] {
        let pid = || std::fs::read_to_string(made.data.join(format!("{part}/{part}-server.pid")));
        let before = pid().unwrap();
        let mut fault = Command::new(BINARY);
        fault
            .args(["dev", "--fault", part])
            .env("DATA_DIR", &made.data);
        let output = fault.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        until("another server runs", || async {
            pid().is_ok_and(|now| now != before)
        })
        .await;
        let client = Client::new(format!("http://127.0.0.1:{}", made.http));
        let request = std::fs::read_to_string(made.folder.join("request.xml")).unwrap();
        until_some("the request is valued", || async {
            let answer = client.submit(&request, "sync=Y").await;
            answer.body.contains("200.00").then_some(())
        })
        .await;
    }
    let pid = Pid::from_raw(dev.child.id().unwrap().cast_signed());
    kill_process(pid.unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(harness::LIMIT, dev.child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    assert!(!made.data.join("worker.pid").exists());
    let late = made.command("--fault worker").output().await.unwrap();
    let late = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(late.contains("no `fanfold dev` runs here"), "{late}");
}

#[tokio::test]
async fn a_new_worker_of_either_language_passes_the_check() {
    for (language, task_type) in [("python", "default"), ("typescript", "bond")] {
        let world = World::own().await;
        let Some(made) = made(&world, language, task_type).await else {
            return;
        };
        let said = made.said("fanfold worker-check").await;
        assert!(said.contains("0 wrong, 5 rules not checked"), "{said}");
        let again = Command::new(BINARY)
            .args(["new", "worker", language])
            .arg(&made.folder)
            .output()
            .await
            .unwrap();
        let refused = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(refused.contains("is there already"), "{refused}");
    }
}
