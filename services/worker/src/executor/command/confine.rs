//! The limits of a program, and the user that it runs as.
//!
//! Only a process can set its own limits before it runs something else. So the worker starts this
//! very binary once more, which limits itself and then becomes the program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process;

use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use serde::{Deserialize, Serialize};

use crate::executor::ConfigError;

/// The first argument of a process that limits itself.
pub const CONFINED: &str = "__confined";
/// The running binary, also after its file was replaced.
pub(super) const THIS_PROGRAM: &str = "/proc/self/exe";
/// The users of this machine.
const USERS: &str = "/etc/passwd";

/// The most that a program may use. What is missing has the worker's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitsConfig {
    /// The address space of each of its processes, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The processor time of each of its processes, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// All processes of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The open files of each of its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// How a program is confined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confinement {
    limits: LimitsConfig,
    no_new_privileges: bool,
    /// The user and the group.
    user: Option<(u32, u32)>,
}

impl Confinement {
    /// The confinement that a configuration asks for, if any.
    pub fn of(
        user: Option<&str>,
        limits: LimitsConfig,
        no_new_privileges: bool,
    ) -> Result<Option<Self>, ConfigError> {
        for (name, limit) in limits.all() {
            if limit == Some(0) {
                return Err(ConfigError::new(name, 0, "must be at least 1"));
            }
        }
        let user = user.map(|name| {
            let wrong = |reason: &str| ConfigError::new("user", name, reason);
            if !geteuid().is_root() {
                return Err(wrong("only a worker that runs as root can choose a user"));
            }
            found(name).ok_or_else(|| wrong("no such user; expected a name, or uid:gid"))
        });
        let user = user.transpose()?;
        let confines = user.is_some() || no_new_privileges || limits != LimitsConfig::default();
        Ok(confines.then_some(Self {
            limits,
            no_new_privileges,
            user,
        }))
    }

    /// The arguments of the process that limits itself and becomes the program.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = vec![CONFINED.to_owned()];
        let limits = self.limits.all().into_iter();
        all.extend(limits.map(|(_, limit)| limit.map_or("-".into(), |limit| limit.to_string())));
        all.push(self.no_new_privileges.to_string());
        let user = self.user.map(|(user, group)| format!("{user}:{group}"));
        all.push(user.unwrap_or_else(|| "-".into()));
        all
    }
}

impl LimitsConfig {
    fn all(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("limits.memory-bytes", self.memory_bytes),
            ("limits.cpu-seconds", self.cpu_seconds),
            ("limits.processes", self.processes),
            ("limits.files", self.files),
        ]
    }
}

/// Limits this process as its arguments say, and becomes the program that they name. Returns only
/// if that is not possible.
pub fn confined(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let mut next = || arguments.next().and_then(|word| word.into_string().ok());
    for resource in [
        Resource::As,
        Resource::Cpu,
        Resource::Nproc,
        Resource::Nofile,
    ] {
        let word = next().ok_or_else(invalid)?;
        if let Ok(limit) = word.parse() {
            let limit = Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            };
            setrlimit(resource, limit)?;
        }
    }
    #[cfg(target_os = "linux")]
    if next().ok_or_else(invalid)? == "true" {
        rustix::thread::set_no_new_privs(true)?;
    }
    let user = next().ok_or_else(invalid)?;
    let mut program = process::Command::new(arguments.next().ok_or_else(invalid)?);
    program.args(arguments);
    if let Some((user, group)) = numbers(&user) {
        program.gid(group).uid(user);
    }
    Err(program.exec())
}

/// The numbers of a user and a group: `uid:gid`, or those of a name.
fn found(user: &str) -> Option<(u32, u32)> {
    numbers(user).or_else(|| of_name(user, &std::fs::read_to_string(Path::new(USERS)).ok()?))
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

fn of_name(name: &str, users: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_this = fields.next() == Some(name);
        let (user, group) = (fields.nth(1)?, fields.next()?);
        is_this.then_some((user.parse().ok()?, group.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_of_this_machine_or_two_numbers() {
        let users = "root:x:0:0::/root:/bin/sh\nvaluer:x:1001:1002::/:/bin/false\n";
        assert_eq!(of_name("valuer", users), Some((1001, 1002)));
        assert_eq!(of_name("val", users), None);
        assert_eq!(numbers("7:8"), Some((7, 8)));
        assert_eq!(numbers("7"), None);
    }

    #[test]
    fn a_program_without_limits_needs_no_confinement() {
        let none = LimitsConfig::default();
        assert_eq!(Confinement::of(None, none, false).unwrap(), None);
        let zero = LimitsConfig {
            files: Some(0),
            ..none
        };
        assert!(Confinement::of(None, zero, false).is_err());
        let some = LimitsConfig {
            files: Some(64),
            ..none
        };
        let found = Confinement::of(None, some, true).unwrap().unwrap();
        let words = found.arguments();
        assert_eq!(words, [CONFINED, "-", "-", "-", "64", "true", "-"]);
    }
}
