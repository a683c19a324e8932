//! The request of an idempotency key: the key of the submission, with the id as its value.

use domain::request::RequestId;
use redis::{AsyncCommands, Pipeline, Script};

use super::Part;
use crate::check::Differences;
use crate::read::Answers;
use crate::view::View;
use crate::write::{Change, Write};
use crate::{Error, Store, script};

pub(crate) struct Idempotency;

const PREFIX: &str = "request:idempotency:";

impl Part for Idempotency {
    fn key(&self, _: RequestId) -> Option<String> {
        None
    }

    fn key_of(&self, view: &View) -> Option<String> {
        let key = view.idempotency_key.as_ref()?;
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

impl Store {
    /// Deletes the idempotency key of a request, as its view names it.
    pub(crate) async fn remove_idempotency(&self, request: RequestId) -> Result<(), Error> {
        let Some(name) = self.idempotency_key(request).await? else {
            return Ok(());
        };
        let mut connection = self.connection();
        let key = format!("{PREFIX}{name}");
        let found: Option<String> = connection.get(&key).await?;
        // Another request may have the name by now.
        if found == Some(request.to_string()) {
            let _: i64 = connection.del(key).await?;
        }
        Ok(())
    }
}
