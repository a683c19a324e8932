//! The pool: threads for work on strangers' documents. Such work may take up to a second of
//! processor time and never runs on an event loop. Small work overtakes costly work, and one thread
//! is always reserved for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long one piece of work may run. The budget of a document normally ends the work long before.
const RUN_MAX: Duration = Duration::from_secs(20);
/// How often a caller checks whether its work has run for too long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many replacement threads may start for threads whose work never ends.
const REPLACEMENTS_MAX: usize = 8;
/// How many pieces of small work may overtake waiting costly work.
const SMALL_IN_A_ROW: u32 = 8;
/// The niceness of threads that do costly work, so that they give way to everything else on the
/// machine.
const COSTLY_NICENESS: i32 = 10;

/// How long a piece of work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// At most about 20 ms.
    Small,
    /// Up to about a second.
    Costly,
}

/// Above this size in bytes, parsing or writing a document counts as costly.
const COSTLY_BYTES: usize = 1024 * 1024;

impl Cost {
    /// The cost of parsing or writing this many bytes of documents.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> Self {
        if bytes <= COSTLY_BYTES {
            Self::Small
        } else {
            Self::Costly
        }
    }
}

/// Why a piece of work returned no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The work panicked, which reveals a bug in the program.
    #[error("the work on a document panicked")]
    Panicked,
    /// The work ran for longer than any document may take.
    #[error("the work on a document did not end within {RUN_MAX:?}")]
    Endless,
    /// The pool has ended.
    #[error("the pool has ended")]
    Ended,
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads and their queues. Copies share them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<Queues>,
    came: Condvar,
}

#[derive(Default)]
struct Queues {
    small: VecDeque<Work>,
    costly: VecDeque<Work>,
    /// How many pieces of small work have overtaken the waiting costly work.
    overtaken: u32,
    replacements: usize,
    ended: bool,
}

/// Which work a thread takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    OnlySmall,
    Both,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next piece of work. Returns `None` when the pool has ended.
    fn next(&self, takes: Takes) -> Option<Work> {
        let mut queues = self.queues();
        loop {
            if queues.ended {
                return None;
            }
            if let Some(work) = queues.take(takes) {
                return Some(work);
            }
            let waited = self.came.wait(queues);
            queues = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queues {
    fn take(&mut self, takes: Takes) -> Option<Work> {
        let its_turn = self.overtaken >= SMALL_IN_A_ROW || self.small.is_empty();
        if takes == Takes::Both
            && its_turn
            && let Some(work) = self.costly.pop_front()
        {
            self.overtaken = 0;
            return Some(work);
        }
        let work = self.small.pop_front()?;
        if takes == Takes::Both && !self.costly.is_empty() {
            self.overtaken += 1;
        }
        Some(work)
    }
}

impl Pool {
    /// Starts a pool. It has one thread for small work only, and a thread for any work on each core
    /// but one.
    pub fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Self {
            shared: Arc::new(Shared {
                queues: Mutex::default(),
                came: Condvar::new(),
            }),
        };
        pool.thread(Takes::OnlySmall)?;
        for _ in 0..cores.saturating_sub(1).max(1) {
            pool.thread(Takes::Both)?;
        }
        Ok(pool)
    }

    fn thread(&self, takes: Takes) -> std::io::Result<()> {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("pool".into());
        thread
            .spawn(move || {
                if takes == Takes::Both {
                    give_way();
                }
                while let Some(work) = shared.next(takes) {
                    work();
                }
            })
            .map(|_| ())
    }

    /// Runs a piece of work. If the caller goes away, work that has begun still finishes, and work
    /// that has not begun never begins.
    pub async fn run<T: Send + 'static>(
        &self,
        cost: Cost,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let begun = Arc::new(Begun::default());
        let (tell, mut told) = oneshot::channel();
        let noted = begun.clone();
        let work: Work = Box::new(move || {
            // The caller is gone, and other work waits.
            if tell.is_closed() {
                return;
            }
            noted.note();
            let done = catch_unwind(AssertUnwindSafe(work));
            // A caller that is gone does not need the result.
            let _ = tell.send(done.map_err(|_| Unfinished::Panicked));
        });
        {
            let mut queues = self.shared.queues();
            if queues.ended {
                return Err(Unfinished::Ended);
            }
            match cost {
                Cost::Small => queues.small.push_back(work),
                Cost::Costly => queues.costly.push_back(work),
            }
        }
        self.shared.came.notify_all();
        loop {
            match tokio::time::timeout(LOOK_EVERY, &mut told).await {
                Ok(done) => return done.unwrap_or(Err(Unfinished::Ended)),
                Err(_) if begun.runs_for() > RUN_MAX => {
                    self.replace();
                    return Err(Unfinished::Endless);
                }
                Err(_) => {}
            }
        }
    }

    /// Starts another thread in place of one whose work does not end.
    fn replace(&self) {
        let may = {
            let mut queues = self.shared.queues();
            queues.replacements += 1;
            queues.replacements <= REPLACEMENTS_MAX
        };
        tracing::error!(
            "work on a document does not end; another thread takes the place of its own"
        );
        if may && let Err(error) = self.thread(Takes::Both) {
            tracing::error!(%error, "could not start a thread of the pool");
        }
    }

    /// Ends the threads after their current work, and drops waiting work.
    pub fn end(&self) {
        let dropped = {
            let mut queues = self.shared.queues();
            queues.ended = true;
            (
                std::mem::take(&mut queues.small),
                std::mem::take(&mut queues.costly),
            )
        };
        drop(dropped);
        self.shared.came.notify_all();
    }
}

/// When a piece of work began to run, in milliseconds since `from`, plus one. Zero means not yet.
struct Begun {
    from: Instant,
    at: AtomicU64,
}

impl Default for Begun {
    fn default() -> Self {
        Self {
            from: Instant::now(),
            at: AtomicU64::new(0),
        }
    }
}

impl Begun {
    fn millis(&self) -> u64 {
        u64::try_from(self.from.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self) {
        self.at.store(self.millis() + 1, Ordering::Relaxed);
    }

    fn runs_for(&self) -> Duration {
        match self.at.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            at => Duration::from_millis(self.millis().saturating_sub(at - 1)),
        }
    }
}

/// Lets every other thread go first. If lowering the priority fails, the scheduler shares as usual.
fn give_way() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), COSTLY_NICENESS) {
        tracing::debug!(%error, "could not lower the priority of a thread for costly work");
    }
}

#[cfg(test)]
mod tests;
