//! `why`: one paragraph, and the evidence under it.

use std::fmt::Write as _;

use history::source::Source;
use history::story::Story;
use history::why::Explanation;
use history::words::{evidence, statement};
use jiff::Timestamp;
use runtime::Settings;
use serde_json::json;

use crate::command::WhyArgs;
use crate::output::{Paint, wrap};
use crate::{Error, Finding, open, page};

pub async fn run(args: &WhyArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.one.reading.from.as_deref(), settings).await?;
    let story = Story::of(args.one.id, source.commits(args.one.id).await?, None)?;
    let why = match &source {
        Source::Live(live) => {
            let task_types: Vec<String> = settings.task_types.names();
            Explanation::now(live, &task_types, &story).await?
        }
        Source::Bundle(_) => Explanation::of_log(&story),
    };
    let now = Timestamp::now();
    let sentences = why.statements.iter().map(|said| statement(said, now));
    let answer = sentences.collect::<Vec<_>>().join(" ");
    let evidence: Vec<String> = why.evidence.iter().map(evidence).collect();
    if args.one.reading.json {
        page::line(&json!({
            "requestId": story.id,
            "status": story.view.status.as_str(),
            "answer": answer,
            "evidence": evidence,
        }))?;
        return Ok(Finding::Fine);
    }
    let paint = Paint::of_stdout();
    let mut text = wrap(&answer, paint.width, "");
    let _ = writeln!(text, "\n\n{}", paint.bold("evidence"));
    for evidence in &evidence {
        let _ = writeln!(text, "{}", wrap(evidence, paint.width, "  "));
    }
    page::print(&text)?;
    Ok(Finding::Fine)
}
