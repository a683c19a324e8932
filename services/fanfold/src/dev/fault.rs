//! `fanfold dev --fault`: kills a part of the `dev` that runs here.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::Settings;
use rustix::process::{Pid, Signal, kill_process_group};

use super::worker::PID_FILE;
use crate::data_folder::DataFolder;

/// A part that can be killed. All of them are started again by `dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The worker, with the tasks that it has.
    Worker,
    /// The NATS server, with the queues that it has in memory.
    Nats,
    /// The Redis server.
    Redis,
}

/// Kills the part, once or every so many seconds.
pub fn cause(fault: Fault, every: Option<u64>, settings: &Settings) -> anyhow::Result<ExitCode> {
    let folder = Path::new(&settings.connections.data_dir);
    loop {
        kill(fault, folder)?;
        let Some(seconds) = every else {
            return Ok(ExitCode::SUCCESS);
        };
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn kill(fault: Fault, folder: &Path) -> anyhow::Result<()> {
    if !DataFolder::is_taken(folder)? {
        bail!(
            "no `fanfold dev` runs here: set DATA_DIR to the folder of the one that runs ({} is not \
             used)",
            folder.display()
        );
    }
    let killed = match fault {
        Fault::Worker => kill_worker(&folder.join(PID_FILE))?,
        Fault::Nats => servers::kill_running("nats-server", &folder.join("nats")),
        Fault::Redis => servers::kill_running("redis-server", &folder.join("redis")),
    };
    let what = match fault {
        Fault::Worker => "worker",
        Fault::Nats => "NATS server",
        Fault::Redis => "Redis server",
    };
    if !killed {
        bail!("there is no {what} of its own to kill");
    }
    println!("killed the {what}");
    Ok(())
}

fn kill_worker(file: &Path) -> anyhow::Result<bool> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(false);
    };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{} names no process", file.display()))?;
    Ok(kill_process_group(pid, Signal::KILL).is_ok())
}
