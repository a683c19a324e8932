//! The command line of `fanfold replay`.

mod check;
mod find;
mod look;
mod write;

use clap::Subcommand;

pub use check::{ExportArgs, RunArgs, TestArgs, VerifyArgs};
pub use find::{SearchArgs, SummaryArgs, TailArgs};
pub use look::{DiffArgs, OneArgs, ReadingArgs, ShowArgs, StateArgs, TaskArgs};
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
    #[command(
        after_help = "Examples:\n  fanfold replay show ID\n  fanfold replay show ID --follow\n  fanfold replay show ID --at -5m"
    )]
    Show(ShowArgs),
    /// Says in one paragraph why a request is where it is, with the evidence
    #[command(after_help = "Example:\n  fanfold replay why ID")]
    Why(OneArgs),
    /// Prints the folded state of a request
    #[command(
        after_help = "Examples:\n  fanfold replay state ID\n  fanfold replay state ID --at 1042 --full"
    )]
    State(StateArgs),
    /// Prints what changed in a request between two points
    #[command(after_help = "Example:\n  fanfold replay diff ID 1042 1077")]
    Diff(DiffArgs),
    /// Prints the document that the worker was given, its attempts and its result
    #[command(
        after_help = "Examples:\n  fanfold replay task ID 0 17\n  fanfold replay task ID 0 17 --document > task.xml"
    )]
    Task(TaskArgs),
    /// Prints events as they are stored
    #[command(
        after_help = "Examples:\n  fanfold replay tail\n  fanfold replay tail --since 1h --event task-failed --code http-503 --json --no-follow"
    )]
    Tail(TailArgs),
    /// Finds requests
    #[command(
        after_help = "Examples:\n  fanfold replay search --since 1h --status failed\n  fanfold replay search --fingerprint tasks-failed+http-503 --json\n  fanfold replay search --label x-desk=rates"
    )]
    Search(SearchArgs),
    /// Rates, failures and the slowest groups, beside the period before
    #[command(after_help = "Example:\n  fanfold replay summary --since 1h")]
    Summary(SummaryArgs),
    /// Folds the log again and says what is not as it should be
    #[command(
        after_help = "Examples:\n  fanfold replay verify ID\n  fanfold replay verify --since 1h\n  fanfold replay verify --all --json\n\nExits with 2 where there is a difference."
    )]
    Verify(VerifyArgs),
    /// Builds the views anew beside the live ones, then puts them in their place
    #[command(
        after_help = "Example:\n  fanfold replay rebuild --reason 'views of yesterday were lost' --yes\n\nStopped, it is taken up again where it was by the same command."
    )]
    Rebuild(RebuildArgs),
    /// Writes requests with all that belongs to them into one file
    #[command(
        after_help = "Examples:\n  fanfold replay export ID -o incident.fanfold\n  fanfold replay export --since 1d --status failed -o failed.fanfold --redact"
    )]
    Export(ExportArgs),
    /// Decides a bundle again with this build, without any server
    #[command(
        after_help = "Examples:\n  fanfold replay run incident.fanfold\n  fanfold replay run incident.fanfold --execute\n\nExits with 2 at the first event that differs."
    )]
    Run(RunArgs),
    /// Turns a bundle into a golden case of the tree
    #[command(
        after_help = "Example:\n  fanfold replay test incident.fanfold --name market-that-was-missing"
    )]
    Test(TestArgs),
    /// Submits a new request that takes over the results up to a point
    #[command(
        after_help = "Examples:\n  fanfold replay fork ID --at 1042 --reason 'the market was wrong' --document fixed.xml --yes"
    )]
    Fork(ForkArgs),
}
