//! A process that is killed, stopped and restarted, and that a supervisor restarts if it ends by
//! itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::timeline::Timeline;

/// The longest start: a role waits so long for a server that is away.
const START_MAX: Duration = Duration::from_secs(30);

/// How to start a process.
pub struct Spec {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub settings: BTreeMap<String, String>,
}

pub struct Process {
    spec: Spec,
    log: PathBuf,
    timeline: Timeline,
    state: Mutex<State>,
}

/// How a process ended where nobody had asked for it.
#[derive(Clone)]
pub struct OwnEnd {
    status: String,
    /// Whether it ended with an exit code.
    orderly: bool,
    age: Duration,
    /// The last line of its log, without addresses, so that equal reasons are counted together.
    pub reason: String,
}

impl OwnEnd {
    /// A process that cannot start for want of a server ends in order, and soon. Its supervisor
    /// tries again.
    pub fn is_failed_start(&self) -> bool {
        self.orderly && self.age < START_MAX && self.reason.starts_with("fanfold:")
    }
}

impl std::fmt::Display for OwnEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, age) = (&self.status, self.age.as_secs_f64());
        write!(f, "{status} after {age:.1} s: {}", self.reason)
    }
}

struct State {
    child: Option<Child>,
    since: Instant,
    /// Whether the process is to run now. No fault has ended it.
    wanted: bool,
    own_ends: Vec<OwnEnd>,
}

impl Process {
    /// A process that does not run yet. Its log goes into `folder`.
    pub fn new(spec: Spec, folder: &Path, timeline: &Timeline) -> Self {
        Self {
            log: folder.join(format!("{}.log", spec.name)),
            spec,
            timeline: timeline.clone(),
            state: Mutex::new(State {
                child: None,
                since: Instant::now(),
                wanted: false,
                own_ends: Vec::new(),
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the process if it does not run.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        if state.child.is_none() {
            state.child = Some(self.spawn()?);
            state.since = Instant::now();
        }
        state.wanted = true;
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.spec.program);
        command
            .args(&self.spec.args)
            .envs(&self.spec.settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        command
            .spawn()
            .with_context(|| format!("starting {}", self.spec.name))
    }

    /// Sends a signal if the process runs.
    pub async fn signal(&self, signal: Signal) {
        let state = self.state.lock().await;
        send(state.child.as_ref(), signal);
    }

    /// Kills the process as a crash would.
    pub async fn kill(&self) {
        self.end(Signal::KILL, Duration::from_secs(10)).await;
    }

    /// Sends a signal that ends the process, and waits for its end. Kills the process after
    /// `limit`. Returns how long it took, or `None` where it had to be killed.
    pub async fn end(&self, signal: Signal, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        let mut state = self.state.lock().await;
        state.wanted = false;
        let mut child = state.child.take()?;
        send(Some(&child), signal);
        let ended = tokio::time::timeout(limit, child.wait()).await.is_ok();
        if !ended {
            // It may have ended meanwhile.
            let _ = child.kill().await;
        }
        ended.then(|| begun.elapsed())
    }

    /// Restarts the process if it ended by itself, as a supervisor would.
    pub async fn supervise(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        if !state.wanted {
            return Ok(());
        }
        let Some(child) = &mut state.child else {
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            let end = OwnEnd {
                status: status.to_string(),
                orderly: status.code().is_some(),
                age: state.since.elapsed(),
                reason: self.last_words(),
            };
            let name = self.name();
            self.timeline
                .note(&format!("{name} ENDED BY ITSELF: {end}"));
            state.own_ends.push(end);
            state.child = Some(self.spawn()?);
            state.since = Instant::now();
        }
        Ok(())
    }

    /// How the process ended where nobody had asked for it.
    pub async fn own_ends(&self) -> Vec<OwnEnd> {
        self.state.lock().await.own_ends.clone()
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let words = last.split(' ').filter(|word| !word.contains("://"));
        words.collect::<Vec<_>>().join(" ")
    }
}

fn send(child: Option<&Child>, signal: Signal) {
    let pid = child.and_then(Child::id).and_then(|id| id.try_into().ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}
