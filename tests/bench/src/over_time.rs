//! A steady rate for a long time: whether anything grows.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Program, World};
use serde::Serialize;

use crate::load::{self, Expect, Heard, quantile};
use crate::measure::{SETTINGS, binary};
use crate::process;
use crate::workload::Workload;

/// The retention of the log and of the views: short, so that the run includes deletions.
const KEPT: Duration = Duration::from_mins(2);
/// How long the full load is measured, once deletions keep pace with writes.
const FULL_LOAD: Duration = Duration::from_secs(30);

/// The measurements of one period.
#[derive(Serialize)]
pub struct Stretch {
    pub second: u64,
    pub requests_per_s: f64,
    pub refused_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// By process: the share of a core, and the memory in MiB.
    pub cores: Vec<(&'static str, f64)>,
    pub mib: Vec<(&'static str, f64)>,
    /// Commits in the log, commits not yet delivered to the orchestrator, tasks, MiB in Redis.
    pub log: u64,
    pub backlog: u64,
    pub tasks: u64,
    pub redis_mib: f64,
}

/// A share of the measured full load, for this long.
pub struct Steady {
    pub share: f64,
    /// The rate that the user gave instead of a measurement.
    pub rate: Option<f64>,
    pub length: Duration,
    pub every: Duration,
    /// Whether callers wait for the result.
    pub wait: bool,
}

#[allow(clippy::cast_precision_loss)] // Counts of a bench are far below 2^52.
pub async fn run(workload: &Workload, sync: &'static str, steady: &Steady) -> Vec<Stretch> {
    let mut world = World::own_that_syncs(sync).await;
    let mut settings = SETTINGS.to_vec();
    let kept = KEPT.as_secs().to_string();
    settings.push(("LOG_MAX_AGE_SECONDS", &kept));
    settings.push(("REQUEST_TTL_SECONDS", &kept));
    let longest = (KEPT / 2).as_millis().to_string();
    settings.push(("REQUEST_TIMEOUT_MS", &longest));
    let program = Program::start(&binary(), "up", &world, &settings).await;
    world.stage_in_memory();
    let mut watched = process::all(&program, &mut world);
    let client = program.client();
    let address = client.base().trim_start_matches("http://").to_owned();
    let expect = Expect::of(workload);
    let rate = if let Some(rate) = steady.rate {
        rate
    } else {
        full_load(&address, &expect, workload.callers).await * steady.share
    };
    eprintln!(
        "{} at {rate:.0} requests/s for {:?}",
        workload.name, steady.length
    );
    let heard = Arc::new(Mutex::new(Heard::default()));
    let (length, wait, hearing) = (steady.length, steady.wait, heard.clone());
    let loading = tokio::spawn(async move {
        load::open(&address, &expect, rate, length, wait, hearing).await;
    });
    let begun = Instant::now();
    let mut stretches: Vec<Stretch> = Vec::new();
    for process in &mut watched {
        process.cpu_seconds();
    }
    // One period longer than the load, to show the remaining work.
    while begun.elapsed() < steady.length + steady.every {
        tokio::time::sleep(steady.every).await;
        let mut now = std::mem::take(&mut *heard.lock().unwrap());
        let seconds = steady.every.as_secs_f64();
        let (log, backlog, tasks) = streams(&world).await;
        let cores = watched
            .iter_mut()
            .map(|w| (w.name, w.cpu_seconds() / seconds));
        let stretch = Stretch {
            second: begun.elapsed().as_secs(),
            requests_per_s: now.answered.len() as f64 / seconds,
            refused_per_s: now.refused as f64 / seconds,
            p50_ms: quantile(&mut now.answered, 0.5),
            p99_ms: quantile(&mut now.answered, 0.99),
            cores: cores.collect(),
            mib: watched.iter().map(|w| (w.name, w.mib())).collect(),
            log,
            backlog,
            tasks,
            redis_mib: redis_mib(&world).await,
        };
        eprintln!("{}", line(&stretch));
        stretches.push(stretch);
    }
    loading.await.unwrap();
    stretches
}

/// The requests per second of this many callers that each wait for their results. The measurement
/// starts once deletions by age keep pace with writes, because deleting is work too.
#[allow(clippy::cast_precision_loss)]
async fn full_load(address: &str, expect: &Expect, callers: usize) -> f64 {
    eprintln!("measuring full load with retention at work, which takes {KEPT:?} to begin …");
    load::closed(address, expect, callers, KEPT).await;
    let full = load::closed(address, expect, callers, FULL_LOAD).await;
    let full = full.len() as f64 / FULL_LOAD.as_secs_f64();
    eprintln!("full load: {full:.0} requests/s");
    full
}

pub fn line(stretch: &Stretch) -> String {
    let by = |of: &[(&str, f64)], digits: usize| {
        let parts = of.iter().map(|(name, v)| format!("{name} {v:.digits$}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    format!(
        "| {} | {:.0} | {:.0} | {:.1} / {:.1} ms | {} | {} | {} | {} | {} | {:.0} |",
        stretch.second,
        stretch.requests_per_s,
        stretch.refused_per_s,
        stretch.p50_ms,
        stretch.p99_ms,
        by(&stretch.cores, 2),
        by(&stretch.mib, 0),
        stretch.log,
        stretch.backlog,
        stretch.tasks,
        stretch.redis_mib,
    )
}

pub fn head() -> &'static str {
    "| second | requests/s | 503/s | p50 / p99 | cores | MiB | commits in the log | not yet with \
     the orchestrator | tasks | Redis MiB |\n|---|---|---|---|---|---|---|---|---|---|"
}

async fn streams(world: &World) -> (u64, u64, u64) {
    let jetstream = world.jetstream().await;
    let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        log.get_consumer("orchestrator").await.unwrap();
    let tasks = jetstream.get_stream("TASKS").await.unwrap();
    let workers: async_nats::jetstream::consumer::PullConsumer =
        tasks.get_consumer("worker-default").await.unwrap();
    let workers = workers.cached_info();
    (
        log.cached_info().state.messages,
        consumer.cached_info().num_pending,
        workers.num_pending + workers.num_ack_pending as u64,
    )
}

#[allow(clippy::cast_precision_loss)]
async fn redis_mib(world: &World) -> f64 {
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut world.redis().await)
        .await
        .unwrap();
    let used = info.lines().find_map(|l| l.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse::<f64>().ok())
        .map_or(0.0, |bytes| bytes / 1_048_576.0)
}
