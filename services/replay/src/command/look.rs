//! Commands that show one request.

use std::path::PathBuf;

use clap::Args;
use domain::request::RequestId;
use history::document::DocumentName;
use history::point::Point;

/// The source to read from, and the output format.
#[derive(Args)]
pub struct ReadingArgs {
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
    /// Print JSON: one object, or one per line
    #[arg(long)]
    pub json: bool,
}

/// A request, with the source to read from.
#[derive(Args)]
pub struct OneArgs {
    /// The request
    pub id: RequestId,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args)]
#[command(after_help = "Example:\n  fanfold replay why ID")]
pub struct WhyArgs {
    #[command(flatten)]
    pub one: OneArgs,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay show ID\n  fanfold replay show ID --follow\n  fanfold replay show ID --at -5m"
)]
pub struct ShowArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// Show the request as it was at a sequence, at a time, or this long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Option<Point>,
    /// Follow the request until it ends
    #[arg(long, conflicts_with_all = ["at", "from"])]
    pub follow: bool,
    /// Print every line of the timeline
    #[arg(long)]
    pub unfolded: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay state ID\n  fanfold replay state ID --at 1042 --full"
)]
pub struct StateArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// Show the request as it was at a sequence, at a time, or this long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Option<Point>,
    /// Print documents and results in full
    #[arg(long)]
    pub full: bool,
}

#[derive(Args)]
#[command(after_help = "Example:\n  fanfold replay diff ID 1042 1077")]
pub struct DiffArgs {
    /// The request
    pub id: RequestId,
    /// First point: a sequence, a time, or an age such as -5m
    #[arg(value_name = "A", allow_hyphen_values = true)]
    pub a: Point,
    /// Second point
    #[arg(value_name = "B", allow_hyphen_values = true)]
    pub b: Point,
    /// Read from this bundle instead of the log
    #[arg(long, value_name = "BUNDLE")]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay task ID 0 17\n  fanfold replay task ID 0 17 --document > task.xml"
)]
pub struct TaskArgs {
    /// The request
    pub id: RequestId,
    /// The group, from 0
    pub group: u32,
    /// The task, from 1
    pub task: u32,
    /// Print only the document, as it was sent
    #[arg(long)]
    pub document: bool,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fanfold replay document ID\n  fanfold replay document ID submitted > request.xml\n  fanfold replay document ID result-0-17 --from incident.fanfold"
)]
pub struct DocumentArgs {
    /// The request
    pub id: RequestId,
    /// The document: submitted, resource-1, hydrated-0, task-0-1, result-0-1 or response. Without
    /// it, the documents are listed
    pub name: Option<DocumentName>,
    /// Take the request as it was at a sequence, at a time, or this long ago
    #[arg(long, value_name = "SEQ|TIME|-5m", allow_hyphen_values = true)]
    pub at: Option<Point>,
    #[command(flatten)]
    pub reading: ReadingArgs,
}
