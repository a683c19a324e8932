//! Finding requests and events among all.

use clap::Args;

use super::ReadingArgs;
use crate::filter::Filter;
use crate::place::Ago;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay tail\n  fanfold replay tail --since 1h --event task-failed --code http-503 --json --no-follow"
)]
pub struct TailArgs {
    #[command(flatten)]
    pub filter: Filter,
    /// Begin so long ago; without it, with the newest
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// End with what is there
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
    pub filter: Filter,
    /// Only what was stored since then
    #[arg(long, value_name = "1h|TIME")]
    pub since: Option<Ago>,
    /// No more than so many requests, the newest first
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args)]
#[command(after_help = "Example:\n  fanfold replay summary --since 1h")]
pub struct SummaryArgs {
    /// The period: so long until now
    #[arg(long, value_name = "1h", default_value = "1h")]
    pub since: Ago,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
