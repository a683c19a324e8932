//! Processes, through the kernel.

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let process = pid.try_into().ok().and_then(Pid::from_raw);
    kill_process(process.unwrap(), signal).unwrap();
    // A process that runs on another core stops a moment later.
    while signal == Signal::STOP && field(&pid.to_string(), 3) != "T" {
        std::thread::yield_now();
    }
}

/// A field of proc(5) from the third on, of a process or of `thread-self`.
fn field(process: &str, number: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields
        .split_whitespace()
        .nth(number - 3)
        .unwrap()
        .to_owned()
}

/// The kernel's scheduling policy of a process, or of `thread-self`, as a number (sched(7)): field
/// 41 of proc(5).
#[must_use]
pub fn policy(process: &str) -> u32 {
    field(process, 41).parse().unwrap()
}
