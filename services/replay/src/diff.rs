//! `diff`: what changed in a request between two points.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use runtime::Settings;
use serde_json::Value;

use crate::command::DiffArgs;
use crate::output::Paint;
use crate::place::Place;
use crate::source::Source;
use crate::story::fold;
use crate::{Error, Finding, page, state};

pub async fn run(args: &DiffArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.from.as_deref(), settings).await?;
    let commits = source.commits(args.id).await?;
    let now = Timestamp::now();
    let at = |place: Place| {
        let mut commits = commits.clone();
        commits.retain(|commit| place.includes(commit, now));
        flat(&state::as_json(&fold(&commits), false))
    };
    let (a, b) = (at(args.a), at(args.b));
    let text = told(&a, &b, Paint::of_stdout());
    if text.is_empty() {
        page::print("nothing changed between the two")?;
    } else {
        page::print(&text)?;
    }
    Ok(Finding::Fine)
}

type Flat = BTreeMap<String, String>;

/// Every leaf by its path.
pub fn flat(value: &Value) -> Flat {
    let mut leaves = Flat::new();
    walk(value, String::new(), &mut leaves);
    leaves
}

fn walk(value: &Value, path: String, leaves: &mut Flat) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                walk(value, below(name), leaves);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                // Wide enough that ten thousand tasks are in order.
                walk(value, below(&format!("{index:05}")), leaves);
            }
        }
        Value::Null => {}
        leaf => {
            leaves.insert(path, leaf.to_string());
        }
    }
}

fn told(a: &Flat, b: &Flat, paint: Paint) -> String {
    let mut text = String::new();
    let mut paths: Vec<&String> = a.keys().chain(b.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (before, after) = (a.get(path), b.get(path));
        if before == after {
            continue;
        }
        if let Some(before) = before {
            let _ = writeln!(text, "{}", paint.red(&format!("- {path} = {before}")));
        }
        if let Some(after) = after {
            let _ = writeln!(text, "{}", paint.green(&format!("+ {path} = {after}")));
        }
    }
    text
}
