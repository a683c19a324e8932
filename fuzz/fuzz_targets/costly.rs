//! Documents built out of nested, chained, repeated and multiplied constructs. Each is refused or
//! processed within limits of time, memory and stack. See `docs/fuzzing.md`.
#![no_main]

use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use domain::document::Limits;
use fanfold_fuzz::measure::{Counting, cost, tell_of_overflows};
use fanfold_fuzz::{costly, run};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static MEMORY: Counting = Counting;

/// The stack for every recursive walk.
const STACK: usize = 256 * 1024;
const MIB: usize = 1024 * 1024;
/// How much slower the instrumented build with its assertions is than a release build.
const SLOWER: u32 = 4;
/// The time limit of a refusal, or of work with little output, in a release build.
const TIME: Duration = Duration::from_secs(1);
/// The minimum size of task documents that are made in another such period, even slowly.
const MADE_IN_TIME: usize = 64 * MIB;

type Job = (Vec<u8>, SyncSender<()>);

/// The thread that does the work. The fuzzer's own thread has a large stack.
static WORKER: LazyLock<SyncSender<Job>> = LazyLock::new(|| {
    let (give, take) = sync_channel::<Job>(0);
    let work = move || {
        tell_of_overflows();
        while let Ok((document, done)) = take.recv() {
            judge(&document);
            let _ = done.send(());
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(work).expect("a thread can be started");
    give
});

fuzz_target!(|bytes: &[u8]| {
    let (done, wait) = sync_channel(1);
    let document = costly::document(bytes);
    // Write the document that an input describes, for a reader.
    if let Some(path) = std::env::var_os("COSTLY_WRITE") {
        std::fs::write(path, &document).expect("it can be written");
    }
    WORKER.send((document, done)).expect("it works");
    wait.recv().expect("it has done its work");
});

fn judge(document: &[u8]) {
    let (outcome, cost) = cost(|| run::through(document, &Limits::default()));
    let (time, memory) = if outcome.refused {
        // The work before a refusal had no use, but stayed within bounds.
        (TIME, outcome.held.min(16 * MIB))
    } else {
        (TIME, outcome.largest * 3 + outcome.held.min(16 * MIB) * 8)
    };
    let time = (time + TIME * u32::try_from(outcome.made / MADE_IN_TIME).unwrap_or(0)) * SLOWER;
    let memory = 64 * MIB + 20 * document.len() + memory;
    assert!(
        cost.time <= time,
        "it took {:?} of {time:?}: {outcome:?}",
        cost.time
    );
    assert!(
        cost.memory <= memory,
        "it held {} of {memory}: {outcome:?}",
        cost.memory
    );
}
