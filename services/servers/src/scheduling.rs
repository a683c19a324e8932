//! The kernel's scheduling of the threads of servers and roles. Under the batch policy, a woken
//! thread lets the running one finish its turn. This does more work with fewer context switches.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Two of the kernel's policies, by its numbers (sched(7)).
const OTHER: u32 = 0;
const BATCH: u32 = 3;
/// The index of the policy among the fields of proc(5) after the thread's name.
const POLICY: usize = 38;
const THIS_THREAD: &str = "/proc/thread-self/stat";

/// A command that runs a program and its children under the batch policy. `None` if the user chose
/// a policy for this thread, or if the batch policy is unavailable.
#[must_use]
pub fn in_batch(program: impl AsRef<OsStr>) -> Option<Command> {
    let mut command = command()?;
    command.arg("0").arg(program);
    Some(command)
}

/// Puts this thread, and the threads and processes that it starts, under the batch policy, under
/// the same conditions.
pub fn put_in_batch() {
    let thread = fs::read_link("/proc/thread-self");
    let thread = thread.as_ref().map(|path| path.file_name());
    if let (Ok(Some(thread)), Some(mut command)) = (thread, command()) {
        command.args(["--pid", "0"]).arg(thread);
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !done.as_ref().is_ok_and(std::process::ExitStatus::success) {
            tracing::debug!(?done, "could not put a thread under the batch policy");
        }
    }
}

fn command() -> Option<Command> {
    static CAN_BE_HAD: OnceLock<bool> = OnceLock::new();
    let now = fs::read_to_string(THIS_THREAD).ok()?;
    let wanted = policy(&now) == Some(OTHER) && *CAN_BE_HAD.get_or_init(can_be_had);
    wanted.then(chrt)
}

fn chrt() -> Command {
    let mut command = Command::new("chrt");
    command.arg("--batch");
    command
}

/// Whether the command exists, is permitted, and has the expected effect.
fn can_be_had() -> bool {
    let mut probe = chrt();
    let probe = probe.args(["0", "cat", THIS_THREAD]).stderr(Stdio::null());
    let said = probe.output();
    said.is_ok_and(|said| policy(&String::from_utf8_lossy(&said.stdout)) == Some(BATCH))
}

/// The policy in the proc(5) line of a thread, whose name may have spaces and brackets.
fn policy(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(POLICY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Option<u32> {
        policy(&fs::read_to_string(THIS_THREAD).unwrap())
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "there is no such policy")]
    fn a_process_started_in_batch_has_the_batch_policy() {
        let said = in_batch("cat").unwrap().arg(THIS_THREAD).output().unwrap();
        assert_eq!(policy(&String::from_utf8_lossy(&said.stdout)), Some(BATCH));
        assert_eq!(now(), Some(OTHER));
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "there is no such policy")]
    fn a_thread_is_put_in_batch_with_those_that_it_starts() {
        let policies = || {
            put_in_batch();
            assert!(in_batch("cat").is_none(), "it is inherited");
            [now(), std::thread::spawn(now).join().unwrap()]
        };
        let policies = std::thread::spawn(policies).join().unwrap();
        assert_eq!(policies, [Some(BATCH); 2]);
        assert_eq!(now(), Some(OTHER));
    }

    #[test]
    fn the_scheduling_policy_is_read_whatever_the_name_of_the_thread() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b (c) {}", fields.join(" "));
        assert_eq!(policy(&stat), Some(41), "proc(5) calls it field 41");
        assert_eq!(policy("1 (short) S 1"), None);
        assert_eq!(policy(""), None);
    }
}
