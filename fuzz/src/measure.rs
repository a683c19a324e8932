//! Memory, processor time and stack, as counted and not as guessed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The system's allocator, which counts what is held and refuses to hold too much.
pub struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Whoever would hold more is ended: the fuzzer keeps the input.
const HELD_MAX: usize = 1024 * 1024 * 1024;

fn take(bytes: usize) -> bool {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
    held <= HELD_MAX
}

fn give(bytes: usize) {
    HELD.fetch_sub(bytes, Relaxed);
}

// SAFETY: all is left to the system's allocator; what is refused is a null pointer.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while it is copied, at the worst.
        if !take(size) {
            return std::ptr::null_mut();
        }
        give(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What a piece of work took.
#[derive(Debug)]
pub struct Cost {
    /// Processor time of this thread.
    pub time: Duration,
    /// The most memory above what was held before.
    pub memory: usize,
}

/// Does a piece of work on this thread and counts what it takes.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let begun = processor_time();
    let done = work();
    let time = processor_time() - begun;
    let memory = PEAK.load(Relaxed).saturating_sub(before);
    (done, Cost { time, memory })
}

fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes into what is given, and this clock is there on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Gives this thread a stack for signals, so that one which overflows is told to the fuzzer,
/// which keeps the input, instead of ending the process without a word.
pub fn tell_of_overflows() {
    const SIZE: usize = 64 * 1024;
    let stack = Box::leak(vec![0_u8; SIZE].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the memory is never freed; the handler does what may be done in one.
    unsafe {
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = overflowed as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn overflowed(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    const SAID: &[u8] = b"costly: a fault in memory: the stack has overflowed\n";
    // SAFETY: both may be called in a handler; the fuzzer's own for SIGABRT keeps the input.
    unsafe {
        libc::write(2, SAID.as_ptr().cast(), SAID.len());
        libc::abort();
    }
}
