//! The response of a request: its text, or a reference to where it is stored.

use std::str::FromStr;

use domain::request::{Payload, RequestId, Status};
use redis::{Pipeline, Script};

use super::Part;
use crate::check::Differences;
use crate::read::{Answers, Draft};
use crate::view::{RequestStatus, View};
use crate::write::{Change, Write};
use crate::{Error, key, script};

pub(crate) struct Response;

fn key(id: RequestId) -> String {
    format!("{}{id}:response", key::CACHE)
}

/// Encodes a response. A stored response becomes `sha256:<hex>:<size>`, which cannot be an XML
/// document.
fn reference(response: &Payload) -> String {
    match response {
        Payload::Inline(text) => text.to_string(),
        Payload::Stored { sha256, size } => format!("sha256:{sha256}:{size}"),
    }
}

fn dereference(text: &str) -> Payload {
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next().map(u64::from_str)) {
        (Some("sha256"), Some(sha256), Some(Ok(size))) => Payload::Stored {
            sha256: sha256.to_owned(),
            size,
        },
        _ => Payload::from(text),
    }
}

impl Part for Response {
    fn key(&self, id: RequestId) -> Option<String> {
        Some(key(id))
    }

    fn script(&self) -> &'static str {
        script::PUT_ONCE
    }

    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        if let Some(response) = change.view.response() {
            let write = Write::new(script, key(change.view.request_id));
            writes.push(write.with(reference(response)).with(change.expiry));
        }
    }

    fn is_absent(&self, view: &View) -> bool {
        view.response().is_none()
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.get(key);
    }

    /// Reads the response of a request that succeeded.
    fn read(&self, draft: &mut Draft, answers: &mut Answers) -> Result<bool, Error> {
        let text: Option<String> = answers.take()?;
        if draft.status != Status::Succeeded {
            return Ok(true);
        }
        let Some(text) = text else {
            return Ok(false);
        };
        let response = dereference(&text);
        draft.view.status = RequestStatus::Succeeded { response };
        Ok(true)
    }

    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let text: Option<String> = answers.take()?;
        let expected = view.response().map(reference);
        found.text(expected.as_deref(), text.as_deref());
        Ok(())
    }
}
