//! The command line of `fanfold replay`.

mod check;
mod find;
mod look;
mod write;

use clap::Subcommand;

pub use check::{ExportArgs, RunArgs, TestArgs, VerifyArgs};
pub use find::{SearchArgs, SummaryArgs, TailArgs};
pub use look::{DiffArgs, ReadingArgs, ShowArgs, StateArgs, TaskArgs, WhyArgs};
pub use write::{ConsentArgs, ForkArgs, RebuildArgs};

/// The subcommand that holds the tool.
#[derive(Subcommand)]
pub enum ReplayCommand {
    /// Answers what happened to a request, why, and whether it would happen again
    #[command(
        subcommand,
        after_help = "Exit codes: 0 fine · 1 usage · 2 a finding · 3 not found · 5 unreachable\n\nExamples:\n  fanfold replay search --since 1h --status failed\n  fanfold replay show 0199e0a1-2b3c-7d4e-8f50-617283940516\n  fanfold replay why 0199e0a1-2b3c-7d4e-8f50-617283940516\n  fanfold replay verify --all"
    )]
    Replay(Replay),
}

/// The commands.
#[derive(Subcommand)]
pub enum Replay {
    /// Tells the story of a request on one screen
    Show(ShowArgs),
    /// Says in one paragraph why a request is where it is, with the evidence
    Why(WhyArgs),
    /// Prints the folded state of a request
    State(StateArgs),
    /// Prints what changed in a request between two points
    Diff(DiffArgs),
    /// Prints the document that the worker was given, its attempts and its result
    Task(TaskArgs),
    /// Prints events as they are stored
    Tail(TailArgs),
    /// Finds requests
    Search(SearchArgs),
    /// Rates, failures and the slowest groups, beside the period before
    Summary(SummaryArgs),
    /// Folds the log again and says what is not as it should be
    Verify(VerifyArgs),
    /// Builds the views anew beside the live ones, then puts them in their place
    Rebuild(RebuildArgs),
    /// Writes requests with all that belongs to them into one file
    Export(ExportArgs),
    /// Decides a bundle again with this build, without any server
    Run(RunArgs),
    /// Turns a bundle into a golden case of the tree
    Test(TestArgs),
    /// Submits a new request that takes over the results up to a point
    Fork(ForkArgs),
}
