//! `state`: the folded state of a request at a point.

use history::state::as_json;
use history::story::Story;
use runtime::Settings;

use crate::command::StateArgs;
use crate::{Error, Finding, open, page};

pub async fn run(args: &StateArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.one.reading.from.as_deref(), settings).await?;
    let commits = source.commits(args.one.id).await?;
    let story = Story::of(args.one.id, commits, args.at)?;
    let value = as_json(&story.state, args.full);
    if args.one.reading.json {
        page::line(&value)?;
    } else {
        page::print(&format!("{value:#}"))?;
    }
    Ok(Finding::Fine)
}
