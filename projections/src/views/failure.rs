//! The failure of a request: one JSON object, with the sequence of the commit that has it.

use domain::request::{RequestId, Status};
use redis::{Pipeline, Script};

use super::Part;
use crate::check::Differences;
use crate::read::{Answers, Draft};
use crate::view::{FailureView, RequestStatus, View};
use crate::write::{Change, Write};
use crate::{Error, key, script};

pub(crate) struct Failure;

fn key(id: RequestId) -> String {
    format!("{}{id}:failure", key::CACHE)
}

impl Part for Failure {
    fn key(&self, id: RequestId) -> Option<String> {
        Some(key(id))
    }

    fn script(&self) -> &'static str {
        script::PUT_JSON
    }

    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        let view = change.view;
        // A redrive deletes the failure, whatever this view already has of the new run.
        let json = match view.failure() {
            Some(failure) => serde_json::to_string(failure).ok(),
            None => view.redriven.then(String::new),
        };
        if let Some(json) = json {
            let write = Write::new(script, key(view.request_id));
            writes.push(write.with(view.seq.get()).with(change.expiry).with(json));
        }
    }

    fn is_absent(&self, view: &View) -> bool {
        view.failure().is_none()
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.get(key);
    }

    /// Reads the failure of a failed request. Any other is left from an earlier run.
    fn read(&self, draft: &mut Draft, answers: &mut Answers) -> Result<bool, Error> {
        let json: Option<String> = answers.take()?;
        if draft.status != Status::Failed {
            return Ok(true);
        }
        let Some(json) = json else {
            return Ok(false);
        };
        let failure = serde_json::from_str(&json).map_err(|error| Error::Corrupt {
            key: key(draft.view.request_id),
            reason: error.to_string(),
        })?;
        draft.view.status = RequestStatus::Failed { failure };
        Ok(true)
    }

    /// Compares the failure after parsing it, because its text may be written in another order.
    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let json: Option<String> = answers.take()?;
        let parsed = json.as_deref().map(serde_json::from_str::<FailureView>);
        match (view.failure(), parsed) {
            (None, None) => {}
            (Some(expected), Some(Ok(parsed))) if *expected == parsed => {}
            (expected, _) => {
                let expected = expected.map(|failure| &*failure.failure.message);
                found.one("value", expected, json.as_deref());
            }
        }
        Ok(())
    }
}
