//! `why`: one paragraph, and the evidence under it.

mod answer;
mod evidence;
mod tasks;

use std::fmt::Write as _;

use runtime::Settings;
use serde_json::json;

use crate::command::WhyArgs;
use crate::output::{Paint, wrap};
use crate::source::Source;
use crate::story::Story;
use crate::{Error, Finding, page};
use answer::Answer;
use evidence::Evidence;

/// The most pieces of evidence of one kind.
const SHOWN: usize = 10;

pub async fn run(args: &WhyArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.one.reading.from.as_deref(), settings).await?;
    let story = Story::of(args.one.id, source.commits(args.one.id).await?, None)?;
    let mut answer = Answer::of_log(&story);
    if let Some(live) = source.live() {
        Evidence::look(live, settings, &story)
            .await?
            .add(&story, &mut answer);
    }
    if args.one.reading.json {
        page::line(&json!({
            "requestId": story.id,
            "status": story.view.status.as_str(),
            "answer": answer.sentences.join(" "),
            "evidence": answer.evidence,
        }))?;
        return Ok(Finding::Fine);
    }
    let paint = Paint::of_stdout();
    let mut text = wrap(&answer.sentences.join(" "), paint.width, "");
    let _ = writeln!(text, "\n\n{}", paint.bold("evidence"));
    for evidence in &answer.evidence {
        let _ = writeln!(text, "{}", wrap(evidence, paint.width, "  "));
    }
    page::print(&text)?;
    Ok(Finding::Fine)
}
