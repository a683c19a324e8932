//! The memory of this machine, and the share of nats-server.

use std::fs;

/// How much nats-server's heap may grow between two collections, in percent of the live heap. A
/// collection visits every subject and id, a million of them in a deployment with a long retention.
/// With Go's default of 100, collections would take a third of its time there.
const GROWTH_PERCENT: &str = "300";
/// From this part of the memory on, nats-server collects as often as necessary to stay within it.
const HEAP_PART: u64 = 2;

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
        let container = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
        Self::read(&machine, &container)
    }

    fn read(meminfo: &str, container: &str) -> Option<Self> {
        let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let machine = total * 1024;
        let limit = container.trim().parse().unwrap_or(machine);
        Some(Self {
            machine,
            container: machine.min(limit),
        })
    }
}

/// The environment and the configuration of nats-server. Empty if `is_set` finds a memory setting
/// of the operator, or if the memory is unknown.
pub(crate) struct Advice {
    pub environment: Vec<(&'static str, String)>,
    /// The limit on streams in memory. It is nats-server's own default; with a limit on its heap,
    /// nats-server would choose less.
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
        max_memory_store: Some(memory.machine / 4 * 3),
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
        assert_eq!(Memory::read(MACHINE, ""), Some(whole));
        assert_eq!(Memory::read(MACHINE, "max\n"), Some(whole));
        let part = memory(2_048_000_000, 500_000_000);
        assert_eq!(Memory::read(MACHINE, "500000000\n"), Some(part));
        assert_eq!(Memory::read("", "max\n"), None);
        assert!(Memory::found().is_some_and(|found| found.container > 1 << 20));
    }

    #[test]
    fn garbage_collections_are_rare_and_bounded() {
        let advice = advice(Some(memory(4_000, 1_000)), |_| false);
        let heap = ("GOMEMLIMIT", "500".to_owned());
        assert_eq!(advice.environment, [("GOGC", "300".to_owned()), heap]);
        assert_eq!(advice.max_memory_store, Some(3_000));
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
