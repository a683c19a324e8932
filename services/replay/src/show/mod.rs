//! `show`: the story of a request on one screen.

mod lines;
mod screen;

use history::freshness::Freshness;
use history::story::Story;
use history::timeline;
use history::words;
use jiff::Timestamp;
use runtime::Settings;
use serde_json::json;

use crate::command::ShowArgs;
use crate::output::Paint;
use crate::{Error, Finding, follow, line, open, page};
pub use lines::{delta, entry_line};
use screen::told;

pub async fn run(args: &ShowArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.one.reading.from.as_deref(), settings).await?;
    let commits = source.commits(args.one.id).await?;
    let story = Story::of(args.one.id, commits, args.at)?;
    let freshness = match source.live() {
        Some(live) => Some(Freshness::look(live, open::views(settings), story.id).await),
        None => None,
    };
    if args.one.reading.json {
        page::line(&as_json(&story, freshness.as_ref(), !args.unfolded))?;
    } else {
        let paint = Paint::of_stdout();
        let text = told(&story, freshness.as_ref(), args, paint);
        if args.follow {
            page::text(&text)?;
        } else {
            page::print(&text)?;
        }
    }
    if let (true, Some(live)) = (args.follow, source.live()) {
        return follow::request(live, story, args.one.reading.json).await;
    }
    Ok(Finding::Fine)
}

fn as_json(story: &Story, freshness: Option<&Freshness>, fold: bool) -> serde_json::Value {
    let timeline: Vec<_> = timeline::entries(story.events(), fold)
        .iter()
        .map(line::of_entry)
        .collect();
    json!({
        "requestId": story.id,
        "status": story.view.status.as_str(),
        "cause": words::cause(&story.cause(), Timestamp::now()),
        "view": story.view,
        "sequence": story.sequence(),
        "laterCommits": story.later,
        "viewSequence": freshness.and_then(|f| f.view.as_ref().ok().copied().flatten()),
        "timeline": timeline,
    })
}
