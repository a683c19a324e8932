//! `state`: the folded state of a request at some point.

use domain::request::State;
use nats::sha256;
use runtime::Settings;
use serde_json::Value;

use crate::command::StateArgs;
use crate::source::Source;
use crate::story::Story;
use crate::{Error, Finding, page};

/// A longer text is told by its size and hash, unless it is wanted in full.
const ABRIDGED_FROM_CHARS: usize = 100;

pub async fn run(args: &StateArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.one.reading.from.as_deref(), settings).await?;
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

/// The state as JSON.
pub fn as_json(state: &State, full: bool) -> Value {
    let mut value = serde_json::to_value(state.request()).unwrap_or_default();
    if !full {
        abridge(&mut value);
    }
    value
}

fn abridge(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get("inline")
                && text.len() > ABRIDGED_FROM_CHARS
            {
                let told = format!("{} bytes, sha256 {}", text.len(), sha256(text.as_bytes()));
                members.insert("inline".into(), told.into());
            }
            members.values_mut().for_each(abridge);
        }
        Value::Array(items) => items.iter_mut().for_each(abridge),
        _ => {}
    }
}
