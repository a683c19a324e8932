//! Processes, through the kernel.

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), signal).unwrap();
}

/// The kernel's scheduling policy of a process, or of `thread-self`, as a number (sched(7)): field
/// 41 of proc(5).
#[must_use]
pub fn policy(process: &str) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(38).unwrap().parse().unwrap()
}
