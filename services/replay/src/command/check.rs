//! Commands that check stored data, and that export it.

use std::path::PathBuf;

use clap::Args;
use domain::request::RequestId;
use history::point::Ago;

use crate::filter::FilterArgs;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay verify ID\n  fanfold replay verify --since 1h\n  fanfold replay verify --all --json\n\nExits with 2 if there is an inconsistency."
)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own.
pub struct VerifyArgs {
    /// The request
    #[arg(required_unless_present_any = ["all", "since"])]
    pub id: Option<RequestId>,
    /// Verify every request of the log
    #[arg(long, conflicts_with_all = ["id", "since"])]
    pub all: bool,
    /// Verify every request with a commit since then
    #[arg(long, value_name = "1h|TIME", conflicts_with = "id")]
    pub since: Option<Ago>,
    /// Print JSON, one object per finding and a last one with the counts
    #[arg(long)]
    pub json: bool,
    /// Make the document of every task again and compare it with what its worker was given; this is
    /// always done for a single request
    #[arg(long, conflicts_with = "id")]
    pub documents: bool,
    /// Verify the log only, without Redis
    #[arg(long)]
    pub no_views: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay export ID -o incident.fanfold\n  fanfold replay export --since 1d --status failed -o failed.fanfold --redact"
)]
pub struct ExportArgs {
    /// The request; without it, the requests that the filter selects
    pub id: Option<RequestId>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only what was stored since then
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Mask the text of documents, results and headers
    #[arg(long)]
    pub redact: bool,
    /// Maximum number of requests, newest first
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay run incident.fanfold\n  fanfold replay run incident.fanfold --execute\n\nExits with 2 at the first event that differs."
)]
pub struct RunArgs {
    /// The bundle
    pub bundle: PathBuf,
    /// Run the tasks again with the executor that is configured here, and compare the results
    #[arg(long)]
    pub execute: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  fanfold replay test incident.fanfold --name market-that-was-missing"
)]
pub struct TestArgs {
    /// The bundle
    pub bundle: PathBuf,
    /// The name of the case
    #[arg(long)]
    pub name: String,
    /// Folder of the cases
    #[arg(long, value_name = "DIR", default_value = "tests/golden/replay")]
    pub cases: PathBuf,
}
