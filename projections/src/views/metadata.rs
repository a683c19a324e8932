//! The `x-*` headers of the submission: a hash with a field for each, and `seq`.

use std::collections::BTreeMap;

use domain::request::RequestId;
use redis::{Pipeline, Script};

use super::Part;
use crate::check::Differences;
use crate::read::{Answers, Draft};
use crate::view::View;
use crate::write::{Change, Write};
use crate::{Error, key, script};

pub(crate) struct Metadata;

fn key(id: RequestId) -> String {
    format!("{}{id}:metadata", key::CACHE)
}

impl Part for Metadata {
    fn key(&self, id: RequestId) -> Option<String> {
        Some(key(id))
    }

    fn script(&self) -> &'static str {
        script::PUT_HASH
    }

    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        let view = change.view;
        if change.has_submission() && !view.metadata.is_empty() {
            let write = Write::new(script, key(view.request_id));
            let write = write.with(view.seq.get()).with(change.expiry);
            writes.push(write.with_fields(&view.metadata));
        }
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.hgetall(key);
    }

    fn read(&self, draft: &mut Draft, answers: &mut Answers) -> Result<bool, Error> {
        let metadata = &mut draft.view.metadata;
        *metadata = answers.take()?;
        metadata.remove("seq");
        Ok(true)
    }

    /// Compares the metadata. Its sequence says only when the metadata was written.
    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let mut metadata: BTreeMap<String, String> = answers.take()?;
        if !view.metadata.contains_key("seq") {
            metadata.remove("seq");
        }
        if metadata.is_empty() && !view.metadata.is_empty() {
            found.missing();
            return Ok(());
        }
        for (name, expected) in &view.metadata {
            let value = metadata.remove(name);
            if value.as_ref() != Some(expected) {
                found.one(name, Some(expected), value.as_deref());
            }
        }
        found.unexpected(metadata);
        Ok(())
    }
}
