//! Commands that write.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use domain::request::RequestId;
use history::point::Point;
use projections::Kind;

/// The person who writes, and the reason.
#[derive(Args)]
pub struct ConsentArgs {
    /// Reason for the write; it is recorded
    #[arg(long)]
    pub reason: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// The person for whom $USER is doing this
    #[arg(long)]
    pub by: Option<String>,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  fanfold replay rebuild --reason 'views of yesterday were lost' --yes\n\nThe same command resumes a rebuild that was stopped."
)]
pub struct RebuildArgs {
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Rebuild only these views
    #[arg(long, value_name = "NAME", value_parser = kind_parser())]
    pub view: Vec<Kind>,
    /// Start over instead of resuming a stopped rebuild
    #[arg(long)]
    pub restart: bool,
    /// How many commits are folded before the views are stored
    #[arg(long, default_value_t = operations::rebuild::KEEP_EVERY, hide = true)]
    pub keep_every: u64,
}

/// Parses the name of a kind of view; the help lists them all.
fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    let unknown = "there is no such view";
    PossibleValuesParser::new(Kind::all().map(Kind::name))
        .try_map(move |name| Kind::of_name(&name).ok_or(unknown))
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay fork ID --at 1042 --reason 'the market was wrong' --document fixed.xml --yes"
)]
pub struct ForkArgs {
    /// The request to fork
    pub id: RequestId,
    /// Take over the results up to a sequence, a time, or this long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Point,
    /// Document of the new request [default: that of the old one]
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
