//! The worker as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use crate::{Error, io};

/// How many lines of the worker's output are shown beside what it got wrong.
const TAIL_LINES: usize = 8;

/// A running worker, in a process group of its own. The group is killed on drop.
pub struct Worker {
    child: Child,
    pid: Option<Pid>,
    log: PathBuf,
}

impl Worker {
    /// Starts the command. `{nats}` in it is the URL, which it also has as `NATS_URL`.
    pub fn start(command: &[String], url: &str, folder: &Path) -> Result<Self, Error> {
        let log = folder.join("worker.log");
        let file = File::create(&log).map_err(io(log.display().to_string()))?;
        let errors = file.try_clone().map_err(io(log.display().to_string()))?;
        let mut words = command.iter().map(|word| word.replace("{nats}", url));
        let program = words.next().unwrap_or_default();
        let child = Command::new(&program)
            .args(words)
            .env("NATS_URL", url)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(format!("the worker {program} could not be started")))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Ok(Self { child, pid, log })
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Result<ExitStatus, Error> {
        self.child
            .wait()
            .await
            .map_err(io("waiting for the worker"))
    }

    /// Asks it to end, as a supervisor does: the process alone.
    pub fn terminate(&self) {
        if let Some(pid) = self.pid {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Signals the worker and everything that it started.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may have ended already.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// The end of its output.
    pub fn output(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
