//! `make chaos`. See `docs/chaos.md`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use chaos::Plan;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Parser)]
#[command(about = "A cluster under load and faults, and the check that nothing was lost")]
struct Arguments {
    /// Path of the program
    #[arg(long, default_value = "target/release/fanfold")]
    binary: PathBuf,
    /// Folder that gets a folder for this run
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
    /// Decides the faults and the load; unset: another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Number of requests; each has about ten tasks
    #[arg(long, default_value_t = 10_000)]
    requests: usize,
    /// Number of faults
    #[arg(long, default_value_t = 300)]
    faults: usize,
    /// Length of the load and of the faults
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Number of streams of the log
    #[arg(long, default_value_t = 2)]
    shards: u8,
    /// Leases of a few seconds, so that a short run drains in time
    #[arg(long)]
    short_leases: bool,
    /// Only kinds of faults with one of these texts in their name
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    // Every connection passes a proxy of this process, with two descriptors.
    let most = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, all)?;
    let plan = Plan {
        binary: std::path::absolute(&arguments.binary)?,
        folder: arguments.folder,
        seed: arguments.seed.unwrap_or_else(seed),
        requests: arguments.requests,
        faults: arguments.faults,
        seconds: arguments.seconds,
        shards: arguments.shards,
        only: arguments.only,
        short_leases: arguments.short_leases,
        aloud: true,
    };
    println!("seed {}", plan.seed);
    let report = tokio::select! {
        report = chaos::run(&plan) => report?,
        // Everything that the run has started ends with it.
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
    };
    println!("\n{}", report.text());
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A seed that is easy to type.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) % 1_000_000)
}
