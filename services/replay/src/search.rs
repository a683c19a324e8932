//! `search`: the requests that a filter selects, newest first.

use history::search::{Found, find};
use jiff::Timestamp;
use runtime::Settings;
use serde_json::Value;

use crate::command::SearchArgs;
use crate::output::{Paint, between, short, time};
use history::words;

use crate::{Error, Finding, open, page};

pub async fn run(args: &SearchArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.reading.from.as_deref(), settings).await?;
    let since = args.since.map(|since| since.time(Timestamp::now()));
    let found = find(&source, &args.filter.filter(), since, args.limit).await?;
    let paint = Paint::of_stdout();
    let mut text = String::new();
    for found in &found {
        if args.reading.json {
            page::line(&as_json(found))?;
        } else {
            text.push_str(&told(found, paint));
            text.push('\n');
        }
    }
    match (args.reading.json, found.is_empty()) {
        (_, true) => return Err(Error::not_found("no request matches")),
        (false, _) => page::print(&text)?,
        (true, _) => {}
    }
    Ok(Finding::Fine)
}

fn as_json(found: &Found) -> Value {
    let mut value = serde_json::to_value(found).unwrap_or_default();
    value["cause"] = cause(found).into();
    value
}

fn cause(found: &Found) -> Option<String> {
    let cause = found.cause.as_ref()?;
    Some(words::cause(cause, found.updated_at))
}

fn told(found: &Found, paint: Paint) -> String {
    let status = found.status.as_str();
    let pad = " ".repeat(10_usize.saturating_sub(status.len()));
    let cause = cause(found).unwrap_or_default();
    format!(
        "{} {}{pad} {} {:>10}  {}",
        found.request_id,
        paint.status(status),
        time(found.updated_at),
        between(found.received_at, found.updated_at),
        short(&cause, paint.width.saturating_sub(86).max(30))
    )
}
