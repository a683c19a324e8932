//! A server as a child process: start, wait for an answer, and orderly stop.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::error::io;
use crate::health::Health;
use crate::{Error, Port, Staging, append_private, in_batch, private_folder, stale};

/// The time limit of a start. A server with much data reads it first.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How often the server is probed during the start.
const START_PROBE: Duration = Duration::from_millis(10);
/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a server may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The process group that receives a server's signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A group of its own: Ctrl-C in a terminal reaches only the parent, which stops the server in
    /// order.
    Own,
    /// The parent's group: the server ends when a test runner kills the group of the test.
    Shared,
}

/// The program to start, and the probe of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub name: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The variables that the server has in addition to some of this process.
    pub environment: Vec<(&'static str, String)>,
    pub folder: PathBuf,
    pub port: u16,
    pub url: String,
    pub ask: &'static str,
    pub answer: &'static str,
    pub group: Group,
}

/// A server that runs, and answered when it was started. It is killed on drop.
#[derive(Debug)]
pub struct Server {
    spec: Spec,
    child: Child,
    staging: Option<Arc<Staging>>,
    health: Option<Health>,
}

impl Spec {
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        pid_file(self.name, &self.folder)
    }
}

pub(crate) fn pid_file(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.pid"))
}

/// Chooses the port of a server. First it stops the server of an earlier run, which would hold the
/// port and the data.
pub(crate) async fn take_port(name: &'static str, folder: &Path, port: Port) -> Result<u16, Error> {
    stale::stop(&pid_file(name, folder), folder).await;
    port.choose(name)
}

impl Server {
    pub(crate) async fn start(spec: Spec) -> Result<Self, Error> {
        private_folder(&spec.folder)
            .map_err(io(format!("the folder {}", spec.folder.display())))?;
        let mut server = Self {
            child: spawn(&spec)?,
            spec,
            staging: None,
            health: None,
        };
        server.wait_until_it_answers().await?;
        Ok(server)
    }

    /// Restarts the server on the same port and data, after it ended or was killed.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill().await;
        self.child = spawn(&self.spec)?;
        self.wait_until_it_answers().await?;
        self.tend();
        Ok(())
    }

    /// Makes the server stage batches in this folder from now on.
    pub(crate) fn stage(&mut self, staging: Staging) {
        self.staging = Some(Arc::new(staging));
        self.tend();
    }

    /// Repairs the staging folder of a running server, because a cleaner of `/dev/shm` may remove
    /// it.
    pub(crate) fn tend(&self) {
        if let Some(staging) = &self.staging {
            staging.link();
        }
    }

    /// Makes the supervision of the server read its reports.
    pub(crate) fn report(&mut self, health: Health) {
        self.health = Some(health);
    }

    /// Why the server must be restarted, although it runs.
    pub(crate) async fn needs_restart(&mut self) -> Option<String> {
        self.health.as_mut()?.look().await
    }

    /// Whether the disk is too full for a start.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.health.as_ref().is_some_and(Health::is_disk_full)
    }

    /// The name of the program.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.spec.url
    }

    /// The staging folder, for a server that would stage batches on disk.
    #[must_use]
    pub fn staging(&self) -> Option<Arc<Staging>> {
        self.staging.clone()
    }

    /// The path of the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.spec.log()
    }

    /// The id of the process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the server ends.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the server as a crash would.
    pub async fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill().await;
    }

    /// Terminates the server, and kills it if it takes too long.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(pid) {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await;
        if ended.is_err() {
            tracing::warn!(server = self.spec.name, "it takes too long to stop; killed");
            self.kill().await;
        }
        // A pid file without its process would be checked in vain.
        let _ = fs::remove_file(self.spec.pid_file());
    }

    async fn wait_until_it_answers(&mut self) -> Result<(), Error> {
        let answered = tokio::time::timeout(START_TIMEOUT, async {
            while !self.answers().await {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(self.ended_at_once(status));
                }
                tokio::time::sleep(START_PROBE).await;
            }
            Ok(())
        });
        answered.await.unwrap_or_else(|_| {
            Err(Error::Silent {
                program: self.spec.name,
                seconds: START_TIMEOUT.as_secs(),
                log: self.spec.log(),
            })
        })
    }

    async fn answers(&self) -> bool {
        let probe = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.spec.port)).await?;
            stream.write_all(self.spec.ask.as_bytes()).await?;
            let mut answer = vec![0; self.spec.answer.len()];
            stream.read_exact(&mut answer).await?;
            Ok::<bool, std::io::Error>(answer == self.spec.answer.as_bytes())
        };
        matches!(
            tokio::time::timeout(PROBE_TIMEOUT, probe).await,
            Ok(Ok(true))
        )
    }

    fn ended_at_once(&self, status: ExitStatus) -> Error {
        let log = self.spec.log();
        let text = fs::read_to_string(&log).unwrap_or_default();
        Error::Ended {
            program: self.spec.name,
            status,
            tail: text.lines().last().unwrap_or_default().trim().to_owned(),
            log,
        }
    }
}

pub(crate) fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// The variables of this process that a server needs. Others may be secrets, which are none of its
/// business.
const INHERITED: [&str; 11] = [
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
];

fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    let all = INHERITED.into_iter();
    all.filter_map(|name| Some((name, std::env::var_os(name)?)))
}

fn spawn(spec: &Spec) -> Result<Child, Error> {
    let log = append_private(&spec.log());
    let log = log.map_err(io(format!("the log {}", spec.log().display())))?;
    let errors = log.try_clone().map_err(io("its log"))?;
    let in_batch = in_batch(&spec.program).map(Command::from);
    let mut command = in_batch.unwrap_or_else(|| Command::new(&spec.program));
    command
        .args(&spec.args)
        .env_clear()
        .envs(inherited())
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true);
    if spec.group == Group::Own {
        command.process_group(0);
    }
    let child = command
        .spawn()
        .map_err(io(format!("starting {}", spec.program.display())))?;
    if let Some(pid) = child.id() {
        fs::write(spec.pid_file(), pid.to_string()).map_err(io("its pid file"))?;
    }
    Ok(child)
}
