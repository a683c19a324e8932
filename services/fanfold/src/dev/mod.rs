//! `fanfold dev`: `up` for somebody who writes a worker. The worker is restarted when its file
//! changes, each request is a line, and faults come on demand.

mod fault;
mod lines;
mod watched;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use nats::Connection;
use runtime::{Settings, Shutdown};

use fault::Fault;
pub use fault::cause;

/// The command for whoever writes a worker.
#[derive(Subcommand)]
pub enum DevCommand {
    /// Run everything, restart your worker when its file changes, and print each request
    #[command(
        after_help = "The worker has the address of NATS in NATS_URL. Without a settings file, it gets \
                      the tasks of every type.\n\n\
                      Example:\n  fanfold dev -- python worker.py\n  fanfold dev --fault worker"
    )]
    Dev(Dev),
}

/// What `up` does beyond its roles for whoever writes a worker.
#[derive(Clone, clap::Args)]
pub struct Dev {
    /// Open the console in the browser
    #[arg(long)]
    open: bool,
    /// A file or folder whose changes restart the worker too; may be given several times
    #[arg(long, value_name = "PATH")]
    watch: Vec<PathBuf>,
    /// Kill this part of the `fanfold dev` that runs here, to see that everything recovers
    #[arg(long, value_name = "PART", conflicts_with_all = ["open", "watch", "command"])]
    fault: Option<Fault>,
    /// Do so every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", requires = "fault", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// The command that starts the worker
    #[arg(last = true, value_name = "COMMAND", id = COMMAND)]
    command: Vec<String>,
}

/// The id of the argument with the worker's command.
pub const COMMAND: &str = "command";

impl Dev {
    /// The fault to cause in place of running, and how often.
    pub fn fault(&self) -> Option<(Fault, Option<u64>)> {
        self.fault.map(|fault| (fault, self.every))
    }

    /// Runs beside the roles, until the process is asked to end.
    pub async fn beside(
        &self,
        settings: &Settings,
        connection: &Connection,
        console: Option<SocketAddr>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        if self.open
            && let Some(console) = console
        {
            open_in_browser(&format!("http://{console}/console/"));
        }
        let lines = lines::print(connection, settings.deployment.shards, shutdown);
        let worker = worker::keep(&self.command, &self.watch, settings, shutdown);
        let (lines, worker) = tokio::join!(lines, worker);
        lines.and(worker)
    }
}

/// Opens a page. Where there is no browser, its address is on the screen.
fn open_in_browser(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let opened = std::process::Command::new(program).arg(url).status();
    if !opened.is_ok_and(|status| status.success()) {
        tracing::warn!(url, "no browser could be opened");
    }
}
