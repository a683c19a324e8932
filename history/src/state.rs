//! The folded state of a request, as JSON.

use domain::request::State;
use nats::sha256;
use serde_json::Value;

/// Texts above this length are replaced by their size and hash.
const ABRIDGED_FROM_CHARS: usize = 100;

/// The state as JSON. Without `full`, it has the size and the hash of a long text instead of the
/// text.
#[must_use]
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
