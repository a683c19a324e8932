//! The differences between the states of a request at two points.

use std::collections::BTreeMap;

use domain::request::State;
use serde_json::Value;

use crate::state;

/// A leaf that differs, with its path. A value is `None` if that state does not have the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, with dots between its parts.
    pub path: String,
    /// The value at the first point, as JSON.
    pub before: Option<String>,
    /// The value at the second point, as JSON.
    pub after: Option<String>,
}

/// The leaves that differ, in the order of their paths.
#[must_use]
pub fn changes(before: &State, after: &State) -> Vec<Change> {
    let (mut before, mut after) = (leaves(before), leaves(after));
    let mut paths: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    let changes = paths.into_iter().map(|path| Change {
        before: before.remove(&path),
        after: after.remove(&path),
        path,
    });
    changes
        .filter(|change| change.before != change.after)
        .collect()
}

type Leaves = BTreeMap<String, String>;

fn leaves(state: &State) -> Leaves {
    let mut leaves = Leaves::new();
    walk(&state::as_json(state, false), String::new(), &mut leaves);
    leaves
}

fn walk(value: &Value, path: String, leaves: &mut Leaves) {
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
                // Zero-padded, so that up to a hundred thousand tasks sort by number.
                walk(value, below(&format!("{index:05}")), leaves);
            }
        }
        Value::Null => {}
        leaf => {
            leaves.insert(path, leaf.to_string());
        }
    }
}
