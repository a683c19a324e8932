//! What writes to the system.

use std::path::PathBuf;

use clap::Args;
use domain::request::RequestId;

use crate::place::Place;

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
#[command(
    after_help = "Example:\n  fanfold replay rebuild --reason 'views of yesterday were lost' --yes\n\nStopped, it is taken up again where it was by the same command."
)]
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
#[command(
    after_help = "Examples:\n  fanfold replay fork ID --at 1042 --reason 'the market was wrong' --document fixed.xml --yes"
)]
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
