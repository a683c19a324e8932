//! Finding requests and events among all.

use clap::Args;

use super::ReadingArgs;
use crate::filter::Filter;
use crate::place::Ago;

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
    #[command(flatten)]
    pub reading: ReadingArgs,
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
    #[command(flatten)]
    pub reading: ReadingArgs,
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
