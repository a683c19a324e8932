//! The command line of `fanfold replay`.

mod check;
mod find;
mod look;
mod write;

use clap::Subcommand;

pub use check::{ExportArgs, RunArgs, TestArgs, VerifyArgs};
pub use find::{SearchArgs, SummaryArgs, TailArgs};
pub use look::{DiffArgs, DocumentArgs, ReadingArgs, ShowArgs, StateArgs, TaskArgs, WhyArgs};
pub use write::{ConsentArgs, ForkArgs, RebuildArgs};

/// The subcommand that holds the tool.
#[derive(Subcommand)]
pub enum ReplayCommand {
    /// Explain what happened to a request, why, and whether it would happen again
    #[command(
        subcommand,
        after_help = "Exit codes: 0 success · 1 usage error · 2 a finding · 3 not found · 5 server unreachable\n\nExamples:\n  fanfold replay search --since 1h --status failed\n  fanfold replay show 0199e0a1-2b3c-7d4e-8f50-617283940516\n  fanfold replay why 0199e0a1-2b3c-7d4e-8f50-617283940516\n  fanfold replay verify --all"
    )]
    Replay(Replay),
}

/// The commands.
#[derive(Subcommand)]
pub enum Replay {
    /// Tell the story of a request on one screen
    Show(ShowArgs),
    /// Explain in one paragraph why a request is where it is, with evidence
    Why(WhyArgs),
    /// Print the folded state of a request
    State(StateArgs),
    /// Print what changed in a request between two points
    Diff(DiffArgs),
    /// Print a task: the document that its worker was given, its attempts and its result
    Task(TaskArgs),
    /// Print a document of a request, or list its documents
    Document(DocumentArgs),
    /// Print events as they are stored
    Tail(TailArgs),
    /// Find requests
    Search(SearchArgs),
    /// Compare rates, failures and the slowest groups with the period before
    Summary(SummaryArgs),
    /// Fold the log again and report every inconsistency
    Verify(VerifyArgs),
    /// Build the views from the log beside the live ones, then swap them in
    Rebuild(RebuildArgs),
    /// Export requests with everything that belongs to them to one file
    Export(ExportArgs),
    /// Replay the decisions of a bundle with this build, without any server
    Run(RunArgs),
    /// Turn a bundle into a golden test case of the source tree
    Test(TestArgs),
    /// Submit a new request that takes over the results up to a point
    Fork(ForkArgs),
}

impl Replay {
    /// Whether the command reads the log at the broker, rather than a bundle.
    #[must_use]
    pub fn reads_log(&self) -> bool {
        let bundle = match self {
            Self::Show(ShowArgs { one, .. })
            | Self::Why(WhyArgs { one })
            | Self::State(StateArgs { one, .. }) => &one.reading.from,
            Self::Diff(args) => &args.from,
            Self::Task(args) => &args.reading.from,
            Self::Document(args) => &args.reading.from,
            Self::Tail(args) => &args.reading.from,
            Self::Search(args) => &args.reading.from,
            Self::Run(_) | Self::Test(_) => return false,
            Self::Summary(_)
            | Self::Verify(_)
            | Self::Rebuild(_)
            | Self::Export(_)
            | Self::Fork(_) => return true,
        };
        bundle.is_none()
    }
}
