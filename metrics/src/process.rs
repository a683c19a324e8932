//! The process itself: what the kernel, the runtimes and the allocator say of it, its build, and the
//! settings that its promises rest on.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::catalogue::Part;
use crate::counted::{Gauge, Level as _, Mirror, mirror};
use crate::family::Family;
use crate::registry::Registry;

/// How the kernel counts processor time: on Linux, a hundredth of a second for every program.
const TICKS_PER_SECOND: f64 = 100.0;
/// The size of a page in `/proc/self/statm`, in bytes, on the machines that Fanfold runs on.
const PAGE_BYTES: u64 = 4_096;

/// The runtimes of the roles.
type Runtimes = Arc<Mutex<Vec<(String, Handle)>>>;

/// The instruments of the process.
#[derive(Clone, Debug)]
pub struct Process {
    build: Family<Gauge>,
    settings: Family<Gauge>,
    runtimes: Runtimes,
    /// What the allocator says, as the program sets it.
    pub allocator: Allocator,
}

/// Asks the allocator for its figures.
type Look = fn(&Allocator);

/// The instruments of the allocator.
#[derive(Clone, Debug)]
pub struct Allocator {
    /// Bytes that the program uses.
    pub allocated: Gauge,
    /// Bytes in pages that the program uses.
    pub active: Gauge,
    /// Bytes in pages that the kernel has given.
    pub resident: Gauge,
    look: Arc<Mutex<Option<Look>>>,
}

impl Allocator {
    /// Has this called before each scrape.
    pub fn look_with(&self, look: fn(&Self)) {
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }
}

impl Process {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Process);
        let overflow = registry.counters(
            "fanfold_label_overflow_total",
            &["metric"],
            "Values that got no series of their own and were told as `other`",
        );
        registry.note_overflows_in(overflow);
        of_kernel(registry);
        let runtimes = of_runtimes(registry);
        registry.part(Part::Allocator);
        let allocator = Allocator {
            allocated: registry.gauge("jemalloc_allocated_bytes", "Bytes that the program uses"),
            active: registry.gauge(
                "jemalloc_active_bytes",
                "Bytes in pages that the program uses",
            ),
            resident: registry.gauge(
                "jemalloc_resident_bytes",
                "Bytes in pages that the kernel has given to the allocator",
            ),
            look: Arc::default(),
        };
        let looking = allocator.clone();
        registry.before_each(move || {
            let look = *looking.look.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(look) = look {
                look(&looking);
            }
        });
        registry.part(Part::Process);
        Self {
            build: registry.gauges(
                "fanfold_build_info",
                &["version", "revision", "role"],
                "The build of this process, and what it runs; always 1",
            ),
            settings: registry.gauges(
                "fanfold_settings_info",
                &["name", "value"],
                "The settings that promises rest on; always 1",
            ),
            runtimes,
            allocator,
        }
    }

    /// Tells the build of this process.
    pub fn is(&self, version: &str, revision: &str, role: &str) {
        self.build.with(&[version, revision, role]).set(1.0);
    }

    /// Tells a setting that a promise rests on.
    pub fn rests_on(&self, name: &str, value: &str) {
        self.settings.with(&[name, value]).set(1.0);
    }

    /// Tells the runtime of a role.
    pub fn runs(&self, role: &str, runtime: Handle) {
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        runtimes.push((role.to_owned(), runtime));
    }
}

/// What `/proc/self` says. On other systems than Linux it is 0.
fn of_kernel(registry: &mut Registry) {
    let cpu = registry.mirror(
        "process_cpu_seconds_total",
        "Processor time of this process, in user and in system mode",
    );
    let resident = registry.gauge("process_resident_memory_bytes", "Memory of this process");
    let threads = registry.gauge("process_threads", "Threads of this process");
    let started = registry.gauge(
        "process_start_time_seconds",
        "When this process was started, in seconds since 1970",
    );
    let files = registry.gauge("process_open_fds", "Open files of this process");
    let files_max = registry.gauge("process_max_fds", "Files that this process may open");
    registry.before_each(move || {
        if let Some(stat) = Stat::read() {
            mirror(&cpu, stat.cpu_seconds);
            threads.count(stat.threads);
            started.set(stat.started);
        }
        if let Some(pages) = number(&read("/proc/self/statm"), 1) {
            resident.count(pages * PAGE_BYTES);
        }
        if let Ok(folder) = std::fs::read_dir("/proc/self/fd") {
            files.count(folder.count() as u64);
        }
        if let Some(most) = open_files_max() {
            files_max.count(most);
        }
    });
}

fn of_runtimes(registry: &mut Registry) -> Runtimes {
    let runtimes = Runtimes::default();
    let alive: Family<Gauge> = registry.gauges(
        "tokio_alive_tasks",
        &["role"],
        "Tasks of a role's runtime that have not ended",
    );
    let busy: Family<Mirror> = registry.mirrors(
        "tokio_busy_seconds_total",
        &["role"],
        "Time in which the threads of a role's runtime worked",
    );
    let known = runtimes.clone();
    registry.before_each(move || {
        let runtimes = known.lock().unwrap_or_else(PoisonError::into_inner);
        for (role, runtime) in runtimes.iter() {
            let metrics = runtime.metrics();
            alive.with(&[role]).count(metrics.num_alive_tasks() as u64);
            let of = |worker| metrics.worker_total_busy_duration(worker).as_secs_f64();
            let total: f64 = (0..metrics.num_workers()).map(of).sum();
            mirror(&busy.with(&[role]), total);
        }
    });
    runtimes
}

/// What `/proc/self/stat` says.
struct Stat {
    cpu_seconds: f64,
    threads: u64,
    /// In seconds since 1970.
    started: f64,
}

impl Stat {
    #[allow(clippy::cast_precision_loss)] // Ticks of a hundredth of a second.
    fn read() -> Option<Self> {
        let stat = read("/proc/self/stat");
        // The name of the program is in parentheses, and may have spaces.
        let fields = stat.get(stat.rfind(')')? + 2..)?;
        let seconds = |field| Some(number(fields, field)? as f64 / TICKS_PER_SECOND);
        let boot = read("/proc/stat");
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(Self {
            cpu_seconds: seconds(11)? + seconds(12)?,
            threads: number(fields, 17)?,
            started: boot.trim().parse::<f64>().ok()? + seconds(19)?,
        })
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn number(fields: &str, at: usize) -> Option<u64> {
    fields.split_whitespace().nth(at)?.parse().ok()
}

fn open_files_max() -> Option<u64> {
    let limits = read("/proc/self/limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    number(line, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_tells_the_time_the_threads_and_the_files_of_this_process() {
        let stat = Stat::read().unwrap();
        assert!(stat.threads >= 1 && stat.cpu_seconds >= 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - stat.started;
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
        assert!(open_files_max().unwrap() > 0);
        assert!(number(&read("/proc/self/statm"), 1).unwrap() > 0);
    }
}
