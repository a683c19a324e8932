//! The request of an idempotency key: the key of the submission, with the id as its value.

use domain::access::Tenant;
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

/// What is between the tenant and the name that a caller of that tenant gave. A name is ASCII, so no
/// name of the tenant `default` has it.
const OF_TENANT: char = '\u{2192}';

/// The key of a name that a caller gave. All callers of a tenant share their names. Braces would choose the slot of a cluster, so that a caller
/// could have all its keys on one server. A caller's name is ASCII, so no other name has the
/// replacements.
fn key_of_name(tenant: &Tenant, name: &str) -> String {
    let name = name.replace('{', "\u{2774}").replace('}', "\u{2775}");
    match tenant.named() {
        None => format!("{PREFIX}{name}"),
        Some(tenant) => format!("{PREFIX}{tenant}{OF_TENANT}{name}"),
    }
}

impl Part for Idempotency {
    fn key(&self, _: RequestId) -> Option<String> {
        None
    }

    fn key_of(&self, view: &View) -> Option<String> {
        let name = view.idempotency_key.as_deref()?;
        Some(key_of_name(&view.tenant, name))
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
        let Some((tenant, name)) = self.idempotency_key(request).await? else {
            return Ok(());
        };
        let mut connection = self.connection();
        let key = key_of_name(&tenant, &name);
        let found: Option<String> = connection.get(&key).await?;
        // Another request may have the name by now.
        if found == Some(request.to_string()) {
            let _: i64 = connection.del(key).await?;
        }
        Ok(())
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
        view.tenant = "desk".parse().unwrap();
        assert_eq!(
            Idempotency.key_of(&view).unwrap(),
            "request:idempotency:desk\u{2192}a-b"
        );
    }
}
