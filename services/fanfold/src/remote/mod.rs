//! `fanfold submit|watch`: a caller of the HTTP API, wherever it runs.

mod api;
mod events;
mod log_filter;
mod problem;
mod submit;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use runtime::Settings;

use api::{Api, ApiArgs};
use log_filter::LogFilterArgs;
use submit::SubmitArgs;
use watch::WatchArgs;

/// How a command says that the request failed. 1 is for everything that kept the command from
/// knowing.
const REQUEST_FAILED: u8 = 2;

/// The subcommands that call the API.
#[derive(Subcommand)]
pub enum RemoteCommand {
    /// Submit a document, and wait for its response or follow its events
    Submit(SubmitArgs),
    /// Follow the events of a request to its end
    Watch(WatchArgs),
    /// Have a running process log more or less for a time
    LogFilter(LogFilterArgs),
}

pub fn run(command: &RemoteCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            RemoteCommand::Submit(args) => submit::run(args, settings).await,
            RemoteCommand::Watch(args) => watch::run(args, settings).await,
            RemoteCommand::LogFilter(args) => log_filter::run(args, settings).await,
        }
    })
}
