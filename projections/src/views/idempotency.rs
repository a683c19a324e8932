//! The request of an idempotency key: the key of the submission, with the id as its value.

use domain::request::RequestId;
use redis::{Pipeline, Script};

use super::Part;
use crate::check::Differences;
use crate::read::Answers;
use crate::view::View;
use crate::write::{Change, Write};
use crate::{Error, script};

pub(crate) struct Idempotency;

const PREFIX: &str = "request:idempotency:";

impl Part for Idempotency {
    fn key(&self, _: RequestId) -> Option<String> {
        None
    }

    fn key_of(&self, view: &View) -> Option<String> {
        let key = view.idempotency_key.as_ref()?;
        // Braces would choose the slot of a cluster, so that a caller could have all its keys on one
        // server. A key of a caller is ASCII, so no other key has the replacements.
        let key = key.replace('{', "\u{2774}").replace('}', "\u{2775}");
        Some(format!("{PREFIX}{key}"))
    }

    fn script(&self) -> &'static str {
        script::PUT_ONCE
    }

    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        if !change.has_submission() {
            return;
        }
        if let Some(key) = self.key_of(change.view) {
            let request = change.view.request_id.to_string();
            writes.push(Write::new(script, key).with(request).with(change.expiry));
        }
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.get(key);
    }

    /// A view has its idempotency key from the request.
    fn is_read(&self) -> bool {
        false
    }

    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let request: Option<String> = answers.take()?;
        found.text(Some(&view.request_id.to_string()), request.as_deref());
        Ok(())
    }

    fn prefix_of_lookups(&self) -> Option<&'static str> {
        Some(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_chooses_the_slot_of_its_key() {
        let id = RequestId::of_key("a", "b");
        let mut view = View::new(
            id,
            domain::request::Sequence::FIRST,
            jiff::Timestamp::UNIX_EPOCH,
        );
        view.idempotency_key = Some("a{tag}b".into());
        let key = Idempotency.key_of(&view).unwrap();
        assert!(!key.contains(['{', '}']), "{key}");
        view.idempotency_key = Some("a-b".into());
        assert_eq!(
            Idempotency.key_of(&view).unwrap(),
            "request:idempotency:a-b"
        );
    }
}
