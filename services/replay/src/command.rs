//! The command line of `fanfold replay`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::request::RequestId;

use crate::filter::Filter;
use crate::place::{Ago, Place};

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

/// A request, and where it is read from.
#[derive(Args)]
pub struct OneArgs {
    /// The request
    pub id: RequestId,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// As it was then: a sequence, a time, or so long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Option<Place>,
    /// Keep up as it goes on, until it has ended
    #[arg(long, conflicts_with_all = ["at", "from"])]
    pub follow: bool,
    /// Every line of the timeline, nothing folded
    #[arg(long)]
    pub unfolded: bool,
}

#[derive(Args)]
pub struct StateArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// As it was then: a sequence, a time, or so long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Option<Place>,
    /// Documents and results in full
    #[arg(long)]
    pub full: bool,
}

#[derive(Args)]
pub struct DiffArgs {
    /// The request
    pub id: RequestId,
    /// From here: a sequence, a time, or so long ago
    #[arg(value_name = "A", allow_hyphen_values = true)]
    pub a: Place,
    /// To here
    #[arg(value_name = "B", allow_hyphen_values = true)]
    pub b: Place,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
pub struct TaskArgs {
    /// The request
    pub id: RequestId,
    /// The group, from 0
    pub group: u32,
    /// The task, from 1
    pub task: u32,
    /// Only the document, as it was sent
    #[arg(long)]
    pub document: bool,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct TailArgs {
    #[command(flatten)]
    pub filter: Filter,
    /// Begin so long ago; without it, with the newest
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// End with what is there
    #[arg(long)]
    pub no_follow: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
pub struct SearchArgs {
    #[command(flatten)]
    pub filter: Filter,
    /// Only what was stored since then
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// No more than so many requests, the newest first
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
pub struct SummaryArgs {
    /// The period: so long until now
    #[arg(long, value_name = "1h", default_value = "1h")]
    pub since: Ago,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own.
pub struct VerifyArgs {
    /// The request
    #[arg(required_unless_present_any = ["all", "since"])]
    pub id: Option<RequestId>,
    /// Every request of the log
    #[arg(long, conflicts_with_all = ["id", "since"])]
    pub all: bool,
    /// Every request with a commit since then
    #[arg(long, value_name = "1h|TIME", conflicts_with = "id")]
    pub since: Option<Ago>,
    /// One JSON object a finding, and a last one with the counts
    #[arg(long)]
    pub json: bool,
    /// Make the document of every task again, and compare it with what its worker was given;
    /// always done for one request
    #[arg(long, conflicts_with = "id")]
    pub documents: bool,
    /// The log only: Redis is not asked
    #[arg(long)]
    pub no_views: bool,
}

/// Who writes, and why.
#[derive(Args)]
pub struct ConsentArgs {
    /// Why, for the record
    #[arg(long)]
    pub reason: Option<String>,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
    /// Who does it, for the record
    #[arg(long, env = "USER", default_value = "unknown", hide_env = true)]
    pub by: String,
}

#[derive(Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Only these of the views
    #[arg(long, value_name = "NAME", value_parser = ["request", "groups", "failure", "response", "metadata", "idempotency"])]
    pub view: Vec<String>,
    /// Forget what a stopped rebuild has done, and begin anew
    #[arg(long)]
    pub restart: bool,
    /// How many commits are folded before what came of them is kept
    #[arg(long, default_value_t = crate::rebuild::KEEP_EVERY, hide = true)]
    pub keep_every: u64,
}

#[derive(Args)]
pub struct ExportArgs {
    /// The request; without it, those that the filter lets through
    pub id: Option<RequestId>,
    #[command(flatten)]
    pub filter: Filter,
    /// Only what was stored since then
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Mask the text of documents, results and headers
    #[arg(long)]
    pub redact: bool,
    /// No more than so many requests, the newest first
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
}

#[derive(Args)]
pub struct RunArgs {
    /// The bundle
    pub bundle: PathBuf,
    /// Run the tasks again with the executor that is configured here, and compare the results
    #[arg(long)]
    pub execute: bool,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct TestArgs {
    /// The bundle
    pub bundle: PathBuf,
    /// The name of the case
    #[arg(long)]
    pub name: String,
    /// Where the cases are
    #[arg(long, value_name = "DIR", default_value = "tests/golden/replay")]
    pub cases: PathBuf,
}

#[derive(Args)]
pub struct ForkArgs {
    /// The request to fork
    pub id: RequestId,
    /// Take over the results up to here: a sequence, a time, or so long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Place,
    /// The document of the new request, where it is another one
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
