//! One workload in one setting, from fresh data.

use std::path::PathBuf;
use std::time::Instant;

use harness::{Program, World};
use serde::Serialize;

use crate::load::{self, Expect, quantile};
use crate::raw::{self, Traffic};
use crate::workload::Workload;
use crate::{Lengths, old, process};

/// The settings of the program under test.
pub const SETTINGS: [(&str, &str); 3] = [
    ("EXECUTOR", "noop"),
    ("RUST_LOG", "warn"),
    ("WORKER_CONCURRENCY", "256"),
];

/// The measurements of one workload.
#[derive(Serialize)]
pub struct Row {
    pub workload: &'static str,
    pub sync: &'static str,
    pub requests: usize,
    pub requests_per_s: f64,
    pub tasks_per_s: f64,
    pub end_to_end_p50_ms: f64,
    pub end_to_end_p99_ms: f64,
    pub alone_p50_ms: f64,
    pub alone_p99_ms: f64,
    pub submit_p50_ms: f64,
    pub submit_p99_ms: f64,
    /// The processor seconds of each process for a thousand tasks at full load.
    pub cpu_s_per_1000_tasks: Vec<(&'static str, f64)>,
    pub peak_mib: Vec<(&'static str, f64)>,
    pub log_bytes_per_request: f64,
    pub messages_per_request: f64,
    /// The rate of the broker alone with the same messages.
    pub raw_requests_per_s: f64,
    pub share_of_raw: f64,
}

#[allow(clippy::cast_precision_loss)] // Counts of a bench are far below 2^52.
pub async fn run(workload: &Workload, sync: &'static str, lengths: Lengths, old: usize) -> Row {
    let mut world = World::own_that_syncs(sync).await;
    if old > 0 {
        old::fill(&world, old).await;
    }
    let program = Program::start(&binary(), "up", &world, &SETTINGS).await;
    world.stage_in_memory();
    if old > 0 {
        old::until_caught_up(&world).await;
    }
    let mut watched = process::all(&program, &mut world);
    let client = program.client();
    let address = client.base().trim_start_matches("http://");
    let expect = Expect::of(workload);

    let mut alone = load::closed(address, &expect, 1, lengths.alone).await;
    let before = Traffic::read(&world, workload.task_bytes).await;
    for process in &mut watched {
        process.cpu_seconds();
    }
    let begun = Instant::now();
    let mut full = load::closed(address, &expect, workload.callers, lengths.closed).await;
    let seconds = begun.elapsed().as_secs_f64();
    let requests = full.len();
    let tasks = (requests * workload.tasks_in_all()) as f64;
    let cpu = watched
        .iter_mut()
        .map(|w| (w.name, w.cpu_seconds() * 1_000.0 / tasks));
    let cpu_s_per_1000_tasks = cpu.collect();
    let traffic = Traffic::read(&world, workload.task_bytes)
        .await
        .since(&before);
    let rate = requests as f64 / seconds;
    let mut submit = if workload.is_big() {
        Vec::new()
    } else {
        load::at_rate(address, &expect, rate / 2.0, lengths.half).await
    };
    let peak_mib = watched.iter().map(|w| (w.name, w.peak_mib())).collect();
    // The measurement of the broker alone must have the machine to itself.
    drop(program);
    drop(world);
    let raw_requests_per_s = raw::rate(sync, &traffic, requests).await;
    Row {
        workload: workload.name,
        sync,
        requests,
        requests_per_s: rate,
        tasks_per_s: tasks / seconds,
        end_to_end_p50_ms: quantile(&mut full, 0.5),
        end_to_end_p99_ms: quantile(&mut full, 0.99),
        alone_p50_ms: quantile(&mut alone, 0.5),
        alone_p99_ms: quantile(&mut alone, 0.99),
        submit_p50_ms: quantile(&mut submit, 0.5),
        submit_p99_ms: quantile(&mut submit, 0.99),
        cpu_s_per_1000_tasks,
        peak_mib,
        log_bytes_per_request: traffic.log_bytes() as f64 / requests as f64,
        messages_per_request: traffic.messages() as f64 / requests as f64,
        raw_requests_per_s,
        share_of_raw: rate / raw_requests_per_s,
    }
}

/// The program that was built next to this one.
pub fn binary() -> String {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.set_file_name("fanfold");
    assert!(
        path.exists(),
        "build it first: cargo build --release -p fanfold"
    );
    path.display().to_string()
}
