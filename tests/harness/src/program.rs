//! The real program as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::Signal;
use servers::free_port;
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::process;
use crate::until::until;
use crate::world::World;

/// A process of `fanfold`, killed on drop. If the test failed, the end of its log is printed.
pub struct Program {
    binary: PathBuf,
    args: Vec<String>,
    settings: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
    client: Option<Client>,
    admin: Client,
}

impl Program {
    /// Starts a role (`up`, `api`, …) against the servers of a world, with these settings, and
    /// waits until its listeners answer.
    pub async fn start(binary: &str, role: &str, world: &World, settings: &[(&str, &str)]) -> Self {
        let listens = matches!(role, "up" | "api") && !settings.contains(&("ENABLE_HTTP", "false"));
        let port = free_port().unwrap();
        let admin = free_port().unwrap();
        let mut all = vec![
            ("NATS_URL".to_owned(), world.nats_url().to_owned()),
            ("REDIS_URL".to_owned(), world.redis_url().to_owned()),
            ("HTTP_PORT".to_owned(), port.to_string()),
            ("ADMIN_PORT".to_owned(), admin.to_string()),
        ];
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let log = world.folder().join(format!("{role}-{port}.log"));
        let args = vec![role.to_owned()];
        let mut program = Self {
            child: spawn(Path::new(binary), &args, &all, &log),
            binary: binary.into(),
            args,
            settings: all,
            log,
            client: listens.then(|| Client::new(format!("http://127.0.0.1:{port}"))),
            admin: Client::new(format!("http://127.0.0.1:{admin}")),
        };
        program.until_ready().await;
        program
    }

    async fn until_ready(&mut self) {
        let Some(client) = self.client.clone() else {
            return;
        };
        let log = self.log.clone();
        let child = &mut self.child;
        let ended = async {
            let status = child.wait().await;
            panic!("fanfold ended ({status:?}): {}", tail(&log));
        };
        tokio::select! {
            () = until("fanfold is ready", || client.ready()) => {}
            () = ended => {}
        }
    }

    /// A client of its API.
    pub fn client(&self) -> Client {
        self.client.clone().expect("this role does not listen")
    }

    /// A client of its admin listener.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The file of the log.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// The log of the process so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills the process as a crash would.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Restarts the process as a supervisor would, whenever it ends by itself, until `done`.
    /// Returns how often it ended. Fails if it ended more than `at_most` times.
    pub async fn supervised(&mut self, at_most: usize, done: impl Future<Output = ()>) -> usize {
        tokio::pin!(done);
        let mut ends = 0;
        loop {
            tokio::select! {
                () = &mut done => return ends,
                status = self.child.wait() => {
                    ends += 1;
                    assert!(ends <= at_most, "it ended {ends} times, now {status:?}");
                    self.child = spawn(&self.binary, &self.args, &self.settings, &self.log);
                }
            }
        }
    }

    /// Restarts the process with the same settings.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.binary, &self.args, &self.settings, &self.log);
        self.until_ready().await;
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }

    /// Terminates the process, and waits until it has ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(crate::LIMIT, self.child.wait());
        ended.await.expect("it ends").unwrap()
    }
}

impl Program {
    /// Checks that the test left no request without progress for longer than its timeouts explain.
    /// Checks nothing if the servers are gone by now.
    fn check_nothing_is_stuck(&self) {
        let output = std::process::Command::new(&self.binary)
            .args(["requests", "stuck"])
            .envs(self.settings.iter().cloned())
            .output()
            .unwrap();
        let counted = String::from_utf8_lossy(&output.stderr).contains(" stuck");
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() || !counted, "stuck: {listed}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.args == ["up"] {
            self.check_nothing_is_stuck();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- {} {:?}\n{}",
                self.binary.display(),
                self.args,
                tail(&self.log)
            );
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn spawn(binary: &Path, args: &[String], settings: &[(String, String)], log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(binary);
    command
        .args(args)
        .envs(settings.iter().cloned())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().unwrap()
}
