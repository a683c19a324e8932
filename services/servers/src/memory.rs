//! The memory of this machine, and how nats-server is to use it.

use std::fs;

/// How much nats-server's heap may grow between two collections, in percent of what is in use. A
/// collection looks at every subject and id that it knows of, a million of them where requests
/// are kept for long; with Go's own 100 that is a third of its time then.
const GROWTH_PERCENT: &str = "300";
/// From this part of the memory on it collects as often as it takes to need no more.
const HEAP_PART: u64 = 2;

/// The memory that processes here may use, in bytes: that of the machine, or the limit of the
/// container. None where the system does not say.
pub(crate) fn available() -> Option<u64> {
    let of_machine = fs::read_to_string("/proc/meminfo").ok()?;
    let of_container = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    least(&of_machine, &of_container)
}

fn least(meminfo: &str, container: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let total = total * 1024;
    let limit = container.trim().parse().unwrap_or(total);
    Some(total.min(limit))
}

/// What tells Go's runtime how often to collect. What the operator has set holds.
pub(crate) fn of_go(available: Option<u64>) -> Vec<(&'static str, String)> {
    // Without a bound it is left as it is: it may need three times as much as by default.
    let Some(bytes) = available else {
        return Vec::new();
    };
    let wanted = [
        ("GOGC", GROWTH_PERCENT.to_owned()),
        ("GOMEMLIMIT", (bytes / HEAP_PART).to_string()),
    ];
    let unset = |(name, _): &(&str, _)| std::env::var_os(name).is_none();
    wanted.into_iter().filter(unset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:       2000000 kB\nMemFree:        1000000 kB\n";

    #[test]
    fn the_memory_is_that_of_the_machine_or_the_limit_of_the_container() {
        assert_eq!(least(MACHINE, ""), Some(2_048_000_000));
        assert_eq!(least(MACHINE, "max\n"), Some(2_048_000_000));
        assert_eq!(least(MACHINE, "500000000\n"), Some(500_000_000));
        assert_eq!(least("", "max\n"), None);
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn collections_are_seldom_only_where_there_is_a_bound() {
        assert_eq!(of_go(None), []);
        let told = of_go(Some(1 << 30));
        assert!(told.contains(&("GOMEMLIMIT", (1_u64 << 29).to_string())));
        assert!(told.contains(&("GOGC", "300".to_owned())));
    }
}
