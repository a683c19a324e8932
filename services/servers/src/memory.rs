//! The memory of this machine, and the share of nats-server.

use std::fs;
use std::path::{Path, PathBuf};

/// How much nats-server's heap may grow between two collections, in percent of the live heap. A
/// collection visits every subject and id, a million of them in a deployment with a long retention.
/// With Go's default of 100, collections would take a third of its time there.
const GROWTH_PERCENT: &str = "300";
/// From this part of the memory on, nats-server collects as often as necessary to stay within it.
const HEAP_PART: u64 = 2;
/// The control groups of Linux, and those of its first version.
const UNIFIED: &str = "/sys/fs/cgroup";
const OF_VERSION_1: &str = "/sys/fs/cgroup/memory";

/// The memory of the machine, and the limit of the container, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub machine: u64,
    pub container: u64,
}

impl Memory {
    /// Returns `None` if the system does not report its memory.
    pub fn found() -> Option<Self> {
        let machine = fs::read_to_string("/proc/meminfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::read(&machine, &own, |file| fs::read_to_string(file).ok())
    }

    fn read(meminfo: &str, own: &str, limit: impl Fn(&Path) -> Option<String>) -> Option<Self> {
        let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let machine = total * 1024;
        let limits = limit_files(own);
        let limits = limits
            .iter()
            .filter_map(|file| limit(file)?.trim().parse().ok());
        Some(Self {
            machine,
            container: limits.fold(machine, u64::min),
        })
    }
}

/// The files with the limits that apply to a process of these control groups. A limit of an outer
/// group applies too. Within a container, the file of its own group is often at the top.
fn limit_files(own: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in own.lines().chain(["0::/", "0:memory:/"]) {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (top, name) = match controllers {
            "" => (UNIFIED, "memory.max"),
            some if some.split(',').any(|name| name == "memory") => {
                (OF_VERSION_1, "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let groups = Path::new(group.trim_start_matches('/')).ancestors();
        files.extend(groups.map(|group| Path::new(top).join(group).join(name)));
    }
    files
}

/// The environment and the configuration of nats-server. Empty if `is_set` finds a memory setting
/// of the operator, or if the memory is unknown.
pub(crate) struct Advice {
    pub environment: Vec<(&'static str, String)>,
    /// The limit on streams in memory: three quarters of the memory, as nats-server itself would choose
    /// without a limit on its heap.
    pub max_memory_store: Option<u64>,
}

pub(crate) fn advice(memory: Option<Memory>, is_set: impl Fn(&str) -> bool) -> Advice {
    let (growth, bound) = ("GOGC", "GOMEMLIMIT");
    let Some(memory) = memory.filter(|_| !is_set(growth) && !is_set(bound)) else {
        return Advice {
            environment: Vec::new(),
            max_memory_store: None,
        };
    };
    let heap = memory.container / HEAP_PART;
    Advice {
        environment: vec![
            (growth, GROWTH_PERCENT.to_owned()),
            (bound, heap.to_string()),
        ],
        max_memory_store: Some(memory.container / 4 * 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:       2000000 kB\nMemFree:        1000000 kB\n";

    fn memory(machine: u64, container: u64) -> Memory {
        Memory { machine, container }
    }

    #[test]
    fn the_memory_is_that_of_the_machine_or_the_limit_of_the_container() {
        let whole = memory(2_048_000_000, 2_048_000_000);
        let read = |own: &str, set: &[(&str, &str)]| {
            Memory::read(MACHINE, own, |file| {
                let found = set.iter().find(|(name, _)| Path::new(name) == file);
                found.map(|(_, limit)| (*limit).to_owned())
            })
        };
        let top = "/sys/fs/cgroup/memory.max";
        assert_eq!(read("", &[]), Some(whole));
        assert_eq!(read("", &[(top, "max\n")]), Some(whole));
        let part = memory(2_048_000_000, 500_000_000);
        assert_eq!(read("0::/\n", &[(top, "500000000\n")]), Some(part));
        let unit = "/sys/fs/cgroup/system.slice/memory.max";
        let own = "0::/system.slice/fanfold.service\n";
        assert_eq!(
            read(own, &[(unit, "500000000\n")]),
            Some(part),
            "an outer group"
        );
        let first = "/sys/fs/cgroup/memory/a/memory.limit_in_bytes";
        let limits = [
            (first, "500000000\n"),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(
            read("3:cpu:/a\n5:memory:/a\n", &limits),
            Some(part),
            "version 1"
        );
        assert_eq!(Memory::read("", "", |_| None), None);
        assert!(Memory::found().is_some_and(|found| found.container > 1 << 20));
    }

    #[test]
    fn garbage_collections_are_rare_and_bounded() {
        let advice = advice(Some(memory(4_000, 1_000)), |_| false);
        let heap = ("GOMEMLIMIT", "500".to_owned());
        assert_eq!(advice.environment, [("GOGC", "300".to_owned()), heap]);
        assert_eq!(advice.max_memory_store, Some(750));
    }

    #[test]
    fn memory_settings_of_the_operator_are_left_alone() {
        for set in ["GOGC", "GOMEMLIMIT"] {
            let advice = advice(Some(memory(4_000, 4_000)), |name| name == set);
            assert_eq!(advice.environment, []);
            assert_eq!(advice.max_memory_store, None);
        }
        assert_eq!(advice(None, |_| false).environment, []);
    }
}
