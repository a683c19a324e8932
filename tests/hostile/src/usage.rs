//! The resource use of processes, as Linux counts it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The clock ticks of a second in `/proc`, the same on every Linux there is today.
const TICKS: f64 = 100.0;
const PAGE_KIB: u64 = 4;
/// How often memory is sampled.
const LOOKS_EVERY: Duration = Duration::from_millis(10);
/// After how many samples the child processes are listed again.
const CHILDREN_EVERY: u32 = 50;

/// The processor seconds of a process, over all its threads.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may contain anything, so count the fields after it.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields.skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// The present memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_KIB
}

/// The peak memory of a process since [`forget_peak`], in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}

/// Resets the kernel's peak of a process's memory (`clear_refs`, proc(5)). If that is not
/// permitted, the samples every 10 ms must do.
fn forget_peak(pid: u32) -> bool {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok()
}

/// Whether a process runs. A zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|fields| fields.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// The running child processes of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')')
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// Kills one process.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // The process may have ended by itself.
    let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
}

/// Watches the memory of a process and its children, and kills it above a limit.
pub struct Watch {
    state: Arc<State>,
    pid: u32,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    program_peak: AtomicU64,
    servers_peak: AtomicU64,
    counted: AtomicBool,
    over: AtomicBool,
    ended: AtomicBool,
}

impl Watch {
    pub fn of(pid: u32, most_kib: u64) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let own = state.clone();
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || watch(pid, most_kib, &own))?;
        Ok(Self {
            state,
            pid,
            thread: Some(thread),
        })
    }

    /// Starts new peaks. Returns the present memory.
    pub fn begin(&self) -> (u64, u64) {
        let program = resident_kib(self.pid);
        let servers = children(self.pid).into_iter().map(resident_kib).sum();
        let counted = forget_peak(self.pid);
        self.state.counted.store(counted, Relaxed);
        self.state.program_peak.store(program, Relaxed);
        self.state.servers_peak.store(servers, Relaxed);
        (program, servers)
    }

    /// The peaks of the program and of its servers together since then, in KiB.
    pub fn peaks(&self) -> (u64, u64) {
        let looked_at = self.state.program_peak.load(Relaxed);
        let counted = self.state.counted.load(Relaxed);
        let exact = if counted { peak_kib(self.pid) } else { 0 };
        (looked_at.max(exact), self.state.servers_peak.load(Relaxed))
    }

    /// Whether the process was killed for its memory.
    pub fn was_over(&self) -> bool {
        self.state.over.load(Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(pid: u32, most_kib: u64, state: &State) {
    let mut servers = Vec::new();
    for look in 0_u32.. {
        if state.ended.load(Relaxed) {
            return;
        }
        if look % CHILDREN_EVERY == 0 {
            servers = children(pid);
        }
        let program = resident_kib(pid);
        state.program_peak.fetch_max(program, Relaxed);
        let held: u64 = servers.iter().copied().map(resident_kib).sum();
        state.servers_peak.fetch_max(held, Relaxed);
        if program > most_kib && !state.over.swap(true, Relaxed) {
            kill(pid);
        }
        std::thread::sleep(LOOKS_EVERY);
    }
}
