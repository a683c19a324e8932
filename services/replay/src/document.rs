//! `document`: a document of a request as it is, or the list of the request's documents.

use std::fmt::Write as _;
use std::io::Write as _;

use history::document::{known, read};
use history::story::Story;
use runtime::Settings;
use serde_json::json;

use crate::command::DocumentArgs;
use crate::{Error, Finding, open, page};

pub async fn run(args: &DocumentArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.reading.from.as_deref(), settings).await?;
    let story = Story::of(args.id, source.commits(args.id).await?, args.at)?;
    if let Some(name) = args.name {
        let bytes = read(&source, &story, name).await?;
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()?;
        return Ok(Finding::Fine);
    }
    let mut text = String::new();
    for document in known(&story) {
        if args.reading.json {
            page::line(&json!({
                "name": document.name.to_string(),
                "bytes": document.bytes,
                "origin": document.origin,
            }))?;
        } else {
            let bytes = document
                .bytes
                .map_or_else(|| "-".into(), |bytes| bytes.to_string());
            let name = document.name.to_string();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<14} {bytes:>10}  {}", document.origin);
        }
    }
    if !args.reading.json {
        page::print(&text)?;
    }
    Ok(Finding::Fine)
}
