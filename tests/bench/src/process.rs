//! The resource use of processes, as Linux counts it.

use std::fs;

use harness::{Program, World};

/// A watched process.
pub struct Watched {
    pub name: &'static str,
    pid: u32,
    before: f64,
}

/// Every process that a measurement involves: the program, its servers, and the callers.
pub fn all(program: &Program, world: &mut World) -> [Watched; 4] {
    let (nats, redis) = world.pids();
    [
        Watched::new("fanfold", program.pid()),
        Watched::new("nats", nats),
        Watched::new("redis", redis),
        Watched::new("client", std::process::id()),
    ]
}

/// The clock ticks of a second in `/proc`, the same on every Linux there is today.
const TICKS: f64 = 100.0;

impl Watched {
    pub fn new(name: &'static str, pid: u32) -> Self {
        Self {
            name,
            pid,
            before: cpu_seconds(pid),
        }
    }

    /// The CPU seconds since the watch began, or since the last call.
    pub fn cpu_seconds(&mut self) -> f64 {
        let now = cpu_seconds(self.pid);
        now - std::mem::replace(&mut self.before, now)
    }

    /// The peak memory of the process, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    /// The present memory of the process, in MiB.
    pub fn mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    fn status_mib(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1_024.0
    }
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may contain anything, so count the fields after it.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / TICKS
}
