//! `diff`: the changes of a request between two points.

use std::fmt::Write as _;

use history::diff::{Change, changes};
use history::point::Point;
use history::story::fold;
use jiff::Timestamp;
use runtime::Settings;

use crate::command::DiffArgs;
use crate::output::Paint;
use crate::{Error, Finding, open, page};

pub async fn run(args: &DiffArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.from.as_deref(), settings).await?;
    let commits = source.commits(args.id).await?;
    let now = Timestamp::now();
    let at = |point: Point| {
        let mut commits = commits.clone();
        commits.retain(|commit| point.includes(commit, now));
        fold(&commits)
    };
    let changes = changes(&at(args.a), &at(args.b));
    if changes.is_empty() {
        page::print("nothing changed between the two points")?;
    } else {
        page::print(&told(&changes, Paint::of_stdout()))?;
    }
    Ok(Finding::Fine)
}

fn told(changes: &[Change], paint: Paint) -> String {
    let mut text = String::new();
    for Change {
        path,
        before,
        after,
    } in changes
    {
        if let Some(before) = before {
            let _ = writeln!(text, "{}", paint.red(&format!("- {path} = {before}")));
        }
        if let Some(after) = after {
            let _ = writeln!(text, "{}", paint.green(&format!("+ {path} = {after}")));
        }
    }
    text
}
