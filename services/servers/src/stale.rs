//! Stops a stale server, which outlived its killed parent: it would hold the port and the data.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::server::pid_file;

/// How long the server may take to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the process is checked meanwhile.
const STOP_PROBE: Duration = Duration::from_millis(20);

/// Stops the server that a pid file names, if the process still works in `folder`.
pub async fn stop(pid_file: &Path, folder: &Path) {
    let Some((number, pid)) = named(pid_file) else {
        return;
    };
    if !works_in(number, folder) {
        return;
    }
    tracing::warn!(
        pid = number,
        "a server of an earlier run is still there; stopping it"
    );
    // It may have ended already.
    let _ = kill_process(pid, Signal::TERM);
    let gone = async {
        while works_in(number, folder) {
            tokio::time::sleep(STOP_PROBE).await;
        }
    };
    if tokio::time::timeout(STOP_TIMEOUT, gone).await.is_err() {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills the running server of this name and data folder, as a crash would. Returns whether there
/// was one.
#[must_use]
pub fn kill_running(name: &str, folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let Some((number, pid)) = named(&pid_file(name, &folder)) else {
        return false;
    };
    works_in(number, &folder) && kill_process(pid, Signal::KILL).is_ok()
}

fn named(pid_file: &Path) -> Option<(i32, Pid)> {
    let number = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    Some((number, Pid::from_raw(number)?))
}

/// Whether the process has the folder in its command line. The kernel reuses pids.
fn works_in(number: i32, folder: &Path) -> bool {
    let folder = folder.to_string_lossy().into_owned();
    fs::read(format!("/proc/{number}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
}
