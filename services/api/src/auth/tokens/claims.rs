use domain::access::{Grant, Principal, Subject};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::refusal::Refusal;

/// The claims of a token that say who has it.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: String,
    #[serde(deserialize_with = "whole_seconds")]
    pub exp: i64,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A time in seconds, which may have a fraction (RFC 7519, section 2).
fn whole_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    // A time beyond the range is far in the future.
    #[allow(clippy::cast_possible_truncation)]
    let whole = number
        .as_i64()
        .or_else(|| number.as_f64().map(|seconds| seconds as i64));
    Ok(whole.unwrap_or(i64::MAX))
}

impl Claims {
    /// The caller, with the roles that a claim lists: strings in an array, or one string with
    /// spaces between them. Other services have permissions of their own in the same claim, so that
    /// what is no grant is passed over.
    pub fn principal(&self, grants_claim: &str) -> Result<Principal, Refusal> {
        let subject: Result<Subject, _> = self.sub.parse();
        let subject = subject.map_err(|_| Refusal::Bad("the token's sub is no subject"))?;
        if subject == Subject::anonymous() {
            return Err(Refusal::Bad("the token's sub is reserved"));
        }
        let listed: Vec<&str> = match self.others.get(grants_claim) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => text.split_whitespace().collect(),
            _ => Vec::new(),
        };
        let grants = listed.iter().filter_map(|text| text.parse::<Grant>().ok());
        Ok(Principal::new(subject, grants))
    }
}
