//! What operators did that no request's log tells: who, why and what, kept beside the log.

use async_nats::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Connection, Error, subject};

/// One thing an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What was done, in kebab-case, such as `views-rebuilt`; the second token of its subject.
    pub name: String,
    /// What it was done to, where that is one thing with an id: the further tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What it was done to and what came of it.
    pub details: serde_json::Value,
}

impl Connection {
    /// Records an operation, and waits until the broker has it.
    pub async fn record(&self, operation: &Operation) -> Result<u64, Error> {
        let body = serde_json::to_vec(operation)
            .map_err(|error| Error::corrupt("a new operation", error))?;
        let subject = subject::operation(&operation.name, operation.to.as_deref());
        let stored = self.publish(subject, HeaderMap::new(), body.into()).await;
        stored
            .map(|stored| stored.sequence)
            .map_err(Error::of_refusal)
    }
}
