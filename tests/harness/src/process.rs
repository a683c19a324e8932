//! Processes as the kernel has them.

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), signal).unwrap();
}

/// The policy by which the kernel schedules a process, or `thread-self`, by its number (sched(7)):
/// field 41 of what proc(5) says of it.
#[must_use]
pub fn policy(process: &str) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(38).unwrap().parse().unwrap()
}
