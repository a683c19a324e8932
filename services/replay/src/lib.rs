//! The tool that answers what happened to a request, why, and whether it would happen again.
//!
//! The tool reads the log directly from the broker, or from a bundle, so it works when Redis and
//! the API are down. It changes nothing without a name, a reason and a confirmation.
//! `docs/replay.md` is the operator's view of this module.

mod command;
mod consent;
mod diff;
mod document;
mod error;
mod export;
mod filter;
mod follow;
mod fork;
mod line;
mod open;
mod output;
mod page;
mod rebuild;
mod rerun;
mod search;
mod show;
mod state;
mod summary;
mod tail;
mod task;
mod verify;
mod why;

use domain::access::Action;
use history::execute::Executor;
use operations::{operator, permit};
use runtime::Settings;

pub use command::{Replay, ReplayCommand};
pub use error::{Error, Finding};

pub use rerun::golden;

impl ReplayCommand {
    /// Whether the command reads a range of the log, rather than one request.
    #[must_use]
    pub fn reads_much(&self) -> bool {
        let Self::Replay(command) = self;
        matches!(
            command,
            Replay::Tail(_)
                | Replay::Search(_)
                | Replay::Summary(_)
                | Replay::Verify(_)
                | Replay::Export(_)
        )
    }
}

/// Runs one of the commands. `executor` runs tasks for `run --execute`.
pub async fn run(
    command: &ReplayCommand,
    settings: &Settings,
    executor: &dyn Executor,
) -> Result<Finding, Error> {
    permit(&operator(), Action::Inspect).map_err(|error| Error::Usage(error.to_string()))?;
    let ReplayCommand::Replay(command) = command;
    let adopted;
    let settings = if command.reads_log() {
        adopted = open::adopted(settings).await?;
        &adopted
    } else {
        settings
    };
    match command {
        Replay::Show(args) => show::run(args, settings).await,
        Replay::Why(args) => why::run(args, settings).await,
        Replay::State(args) => state::run(args, settings).await,
        Replay::Diff(args) => diff::run(args, settings).await,
        Replay::Task(args) => task::run(args, settings).await,
        Replay::Document(args) => document::run(args, settings).await,
        Replay::Tail(args) => tail::run(args, settings).await,
        Replay::Search(args) => search::run(args, settings).await,
        Replay::Summary(args) => summary::run(args, settings).await,
        Replay::Verify(args) => verify::run(args, settings).await,
        Replay::Rebuild(args) => Box::pin(rebuild::run(args, settings)).await,
        Replay::Export(args) => export::run(args, settings).await,
        Replay::Run(args) => rerun::run(args, settings, executor).await,
        Replay::Test(args) => rerun::test(args).await,
        Replay::Fork(args) => fork::run(args, settings).await,
    }
}
