//! `make bench`: the real program on fresh data under load, in both durability settings, compared
//! with the rate of the broker alone for the same messages. Every answer is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
mod http;
mod load;
mod measure;
mod old;
mod over_time;
mod process;
mod raw;
mod table;
mod workload;

use std::time::Duration;

use measure::Row;
use over_time::Steady;
use workload::Workload;

/// The durations of the parts of a run.
#[derive(Clone, Copy)]
pub struct Lengths {
    /// With sixty-four callers.
    pub closed: Duration,
    /// With one caller.
    pub alone: Duration,
    /// With submissions at half of the full rate.
    pub half: Duration,
}

const FULL: Lengths = Lengths {
    closed: Duration::from_secs(12),
    alone: Duration::from_secs(4),
    half: Duration::from_secs(6),
};
const QUICK: Lengths = Lengths {
    closed: Duration::from_secs(4),
    alone: Duration::from_secs(1),
    half: Duration::from_secs(2),
};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        let place = args.iter().position(|arg| arg == flag)?;
        args.get(place + 1)?.parse::<f64>().ok()
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let old = value("--old").map_or(0, |old| old as usize);
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if let Some(steady) = steady(value) {
        let sync = if has("--always") { "always" } else { "100ms" };
        let [w1, w2, ..] = Workload::all();
        let workload = if has("W2") { w2 } else { w1 };
        eprintln!("{}", over_time::head());
        let stretches = over_time::run(&workload, sync, &steady).await;
        if has("--json") {
            println!("{}", serde_json::to_string_pretty(&stretches).unwrap());
        }
        return;
    }
    if has("--verify") {
        let [w1, ..] = Workload::all();
        let sync = if has("--always") { "always" } else { "100ms" };
        return beside::run(&w1, sync).await;
    }
    let lengths = if has("--quick") { QUICK } else { FULL };
    let only: Vec<&String> = args.iter().filter(|arg| arg.starts_with('W')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| *o == name);
    let mut rows: Vec<Row> = Vec::new();
    for sync in ["always", "100ms"] {
        if has("--always") && sync != "always" || has("--100ms") && sync != "100ms" {
            continue;
        }
        for workload in Workload::all() {
            if wanted(workload.name) {
                eprintln!("{} with sync_interval {sync} …", workload.name);
                rows.push(measure::run(&workload, sync, lengths, old).await);
            }
        }
    }
    if has("--json") {
        println!("{}", serde_json::to_string_pretty(&rows).unwrap());
    } else {
        println!("{}", table::of(&rows));
    }
}

/// `--soak SECONDS` runs at 80 % of full load, `--overload SECONDS` at twice full load. The full
/// load is measured first, for two and a half minutes; `--rate R` gives a rate instead.
fn steady(value: impl Fn(&str) -> Option<f64>) -> Option<Steady> {
    let soak = value("--soak").map(|seconds| (seconds, 0.8));
    let (seconds, share) = soak.or_else(|| Some((value("--overload")?, 2.0)))?;
    Some(Steady {
        share,
        rate: value("--rate"),
        length: Duration::from_secs_f64(seconds),
        every: Duration::from_secs_f64(value("--every").unwrap_or(15.0)),
        wait: share < 1.0,
    })
}
