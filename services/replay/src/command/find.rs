//! Commands that find requests and events.

use clap::Args;
use history::point::Ago;

use super::ReadingArgs;
use crate::filter::FilterArgs;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay tail\n  fanfold replay tail --since 1h --event task-failed --code http-503 --json --no-follow"
)]
pub struct TailArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Begin this long ago, or at this time [default: now]
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// Stop at the end of the log instead of following it
    #[arg(long)]
    pub no_follow: bool,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay search --since 1h --status failed\n  fanfold replay search --fingerprint tasks-failed+http-503 --json\n  fanfold replay search --label x-desk=rates"
)]
pub struct SearchArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only requests with commits since then
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// Maximum number of requests, newest first
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args)]
#[command(after_help = "Example:\n  fanfold replay summary --since 1h")]
pub struct SummaryArgs {
    /// Length of the period, which ends now
    #[arg(long, value_name = "1h", default_value = "1h")]
    pub since: Ago,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
