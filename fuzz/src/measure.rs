//! Measures memory, processor time and stack.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The system's allocator, with a count of the allocated bytes and a limit on them.
pub struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The limit on allocated bytes. Beyond it the process ends, and the fuzzer keeps the input.
const HELD_MAX: usize = 1024 * 1024 * 1024;

fn take(bytes: usize) -> bool {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
    held <= HELD_MAX
}

fn give(bytes: usize) {
    HELD.fetch_sub(bytes, Relaxed);
}

// SAFETY: the system's allocator does all the work; a refused allocation is a null pointer.
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
        // In the worst case both exist while the content is copied.
        if !take(size) {
            return std::ptr::null_mut();
        }
        give(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The cost of a piece of work.
#[derive(Debug)]
pub struct Cost {
    /// Processor time of this thread.
    pub time: Duration,
    /// The peak memory beyond the memory before, in bytes.
    pub memory: usize,
}

/// Does a piece of work on this thread and measures its cost.
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
    // SAFETY: the call writes into the given value, and every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Gives this thread a stack for signals. The fuzzer then learns of a stack overflow and keeps the
/// input, instead of a silent end of the process.
pub fn tell_of_overflows() {
    const SIZE: usize = 64 * 1024;
    let stack = Box::leak(vec![0_u8; SIZE].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the memory is never freed, and the handler makes only calls that are safe in one.
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
    // SAFETY: both calls are safe in a handler; the fuzzer's own handler of SIGABRT keeps the
    // input.
    unsafe {
        libc::write(2, SAID.as_ptr().cast(), SAID.len());
        libc::abort();
    }
}
