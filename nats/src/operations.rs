//! Actions of operators that are in no request's log: person, reason and action, stored next to the
//! log.

use async_nats::HeaderMap;
use domain::bulk::OperationId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Connection, Error, subject};

/// One operation: an action of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The name of the action, in kebab-case, such as `views-rebuilt`. It is the second token of
    /// the subject.
    pub name: String,
    /// The id of the target, if there is exactly one. It forms the further tokens of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The caller who acted.
    pub by: String,
    /// The person for whom that caller says it acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The reason, in that person's words.
    pub reason: String,
    /// When it was done.
    pub at: Timestamp,
    /// The things that it was done to, and its outcome.
    pub details: serde_json::Value,
}

/// The caller who acts, the person for whom, and the reason.
#[derive(Clone, Copy, Debug)]
pub struct ByWhom<'a> {
    /// The caller.
    pub by: &'a str,
    /// The person for whom that caller says it acts.
    pub on_behalf_of: Option<&'a str>,
    /// The reason.
    pub reason: &'a str,
    /// The bulk operation of which the action is a part.
    pub operation: Option<OperationId>,
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
