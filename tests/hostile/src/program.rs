//! The program under test: a real `up` with its own ports and data folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::time::sleep;

use crate::http::{self, ORDINARY};
use crate::usage::{self, Watch};

/// The configured grace period for the end of the program.
pub const GRACE: Duration = Duration::from_secs(5);
/// The time limit for its start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait for the end of a killed server.
const DIES_WITHIN: Duration = Duration::from_secs(5);
/// The address space of the program. A larger allocation ends it. The servers that it starts
/// inherit the limit, and reserve more than they use.
const ADDRESS_SPACE: u64 = 24 * 1024 * 1024 * 1024;
/// The usual number of file descriptors.
const DESCRIPTORS: u64 = 1_024;

/// The task types that the hostile documents name. Every other task is valued by `noop`.
const CONFIGURATION: &str = r#"
[[task-types]]
name = "echo"
matches = ["echo"]
executor = { kind = "echo" }

[[task-types]]
name = "fail"
matches = ["fail"]
executor = { kind = "reference" }
retry = { attempts = 1 }

[[task-types]]
name = "slow"
matches = ["slow"]
executor = { kind = "command", program = "sleep", args = ["20"] }
retry = { attempts = 1 }
concurrency = 4
"#;

/// A running program.
pub struct Program {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    most_kib: u64,
    child: Child,
    /// The servers that the program started. They outlive an abort and are then no one's children.
    servers: Vec<u32>,
    pub watch: Watch,
    generation: usize,
}

impl Program {
    /// Starts the program on empty data and waits until it is ready.
    pub async fn start(binary: &Path, folder: &Path, memory_mib: u64) -> anyhow::Result<Self> {
        let hrefs = folder.join("hrefs");
        fs::create_dir_all(&hrefs)?;
        fs::write(hrefs.join(hostile::REMOTE), hostile::remote())?;
        fs::write(folder.join("fanfold.toml"), CONFIGURATION)?;
        let port = servers::free_port()?;
        let most_kib = memory_mib * 1_024;
        let (child, watch) = spawn(binary, folder, port, 0, most_kib)?;
        let mut program = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            port,
            most_kib,
            child,
            servers: Vec::new(),
            watch,
            generation: 0,
        };
        program.until_ready().await?;
        Ok(program)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port and the password of its Redis, from its data folder.
    pub fn redis(&self) -> anyhow::Result<(u16, String)> {
        let file = data(&self.folder, self.generation).join("servers.json");
        let servers: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
        let url = servers["redis_url"].as_str().unwrap_or_default();
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        let login = url
            .split_once("://:")
            .and_then(|(_, rest)| rest.split_once('@'));
        let found = port.zip(login.map(|(password, _)| password.to_owned()));
        found.with_context(|| format!("{} has no redis_url", file.display()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The prefix of the URIs that its documents may refer to.
    pub fn hrefs(&self) -> String {
        format!("file://{}/", self.folder.join("hrefs").display())
    }

    /// How the program ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        let why = if self.watch.was_over() {
            format!("killed here: it held over {} MiB", self.most_kib / 1_024)
        } else {
            ended_by(status)
        };
        Some(why)
    }

    /// Restarts the program: on the same data, or on empty data.
    pub async fn restart(&mut self, emptied: bool) -> anyhow::Result<()> {
        self.kill();
        if emptied {
            self.generation += 1;
        }
        let (child, watch) = spawn(
            &self.binary,
            &self.folder,
            self.port,
            self.generation,
            self.most_kib,
        )?;
        (self.child, self.watch) = (child, watch);
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < STARTS_WITHIN {
            if let Some(ended) = self.ended() {
                anyhow::bail!("it ended as it started: {ended}\n{}", self.log());
            }
            let answer = http::get(self.port(), ORDINARY, "/readyz", Duration::from_secs(2)).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                self.servers = usage::children(self.pid());
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!(
            "it is not ready after {} s\n{}",
            STARTS_WITHIN.as_secs(),
            self.log()
        );
    }

    /// Terminates the program. Returns how long it took, or that it exceeded the limit.
    pub async fn terminate(&mut self, within: Duration) -> Result<(Duration, String), Duration> {
        let begun = Instant::now();
        signal(self.pid(), Signal::TERM);
        while begun.elapsed() < within {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok((begun.elapsed(), ended_by(status)));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(begun.elapsed())
    }

    fn kill(&mut self) {
        // The servers would end by themselves, but later.
        let mut servers = usage::children(self.pid());
        servers.append(&mut self.servers);
        // The program may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        servers.iter().copied().for_each(usage::kill);
        // The next program needs the ports.
        let begun = Instant::now();
        while servers.iter().any(|pid| usage::is_alive(*pid)) && begun.elapsed() < DIES_WITHIN {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of its log.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("up.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn data(folder: &Path, generation: usize) -> PathBuf {
    folder.join(format!("data-{generation}"))
}

fn spawn(
    binary: &Path,
    folder: &Path,
    port: u16,
    generation: usize,
    most_kib: u64,
) -> anyhow::Result<(Child, Watch)> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("up.log"))?;
    let hrefs = format!("file://{}", folder.join("hrefs").display());
    let child = Command::new(binary)
        .arg("up")
        .arg("--config")
        .arg(folder.join("fanfold.toml"))
        .env_remove("NATS_URL")
        .env_remove("REDIS_URL")
        .env("HTTP_PORT", port.to_string())
        .env("DATA_DIR", data(folder, generation))
        .env("EXECUTOR", "noop")
        .env("HREF_ALLOW", hrefs)
        .env("SHUTDOWN_GRACE_MS", GRACE.as_millis().to_string())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let address_space = Rlimit {
        current: Some(ADDRESS_SPACE),
        maximum: Some(ADDRESS_SPACE),
    };
    prlimit(pid, Resource::As, address_space)?;
    // The program may raise its soft limit up to the hard limit.
    let descriptors = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, descriptors)?;
    let watch = Watch::of(child.id(), most_kib)?;
    Ok((child, watch))
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| kill_process(pid, signal));
}

fn ended_by(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "it is not known how".into(),
    }
}
