//! `make bench`: the real program on fresh data under load, in both durability settings, beside
//! what the broker alone does with the same messages. Every answer is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;
mod load;
mod measure;
mod process;
mod raw;
mod table;
mod workload;

use std::time::Duration;

use measure::Row;
use workload::Workload;

/// How long each part of a run takes.
#[derive(Clone, Copy)]
pub struct Lengths {
    /// Sixty-four callers.
    pub closed: Duration,
    /// One caller.
    pub alone: Duration,
    /// Submissions at half of the full rate.
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
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let lengths = if has("--quick") { QUICK } else { FULL };
    let only: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| *o == name);
    let mut rows: Vec<Row> = Vec::new();
    for sync in ["always", "100ms"] {
        if has("--always") && sync != "always" || has("--100ms") && sync != "100ms" {
            continue;
        }
        for workload in Workload::all() {
            if wanted(workload.name) {
                eprintln!("{} with sync_interval {sync} …", workload.name);
                rows.push(measure::run(&workload, sync, lengths).await);
            }
        }
    }
    if has("--json") {
        println!("{}", serde_json::to_string_pretty(&rows).unwrap());
    } else {
        println!("{}", table::of(&rows));
    }
}
