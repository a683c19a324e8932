//! What the broker grants to a user, and what the user lacks of that which it needs.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::Permissions;
use super::pattern::{covers, overlap};
use crate::{Connection, Delivery, Error};

/// Where a user asks the broker about itself.
const USER_INFO: &str = "$SYS.REQ.USER.INFO";
/// How often a user asks what it may do. An operator sees a change within 10 s.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the broker may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// When a message comes again that was given back for want of a permission. Pulls that are under way
/// would bring it at once.
const GIVEN_BACK_FOR: Duration = Duration::from_secs(5);
/// How long a denial is told of. For as long, it keeps a role that cannot ask for its permissions
/// from taking work.
const TOLD_FOR: Duration = Duration::from_secs(30);

/// What a role needs, and what it lacked when the broker was last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs(Arc<Mutex<Needed>>);

#[derive(Debug, Default)]
struct Needed {
    permissions: Permissions,
    lacking: Vec<String>,
    /// Whether the broker has said what it grants.
    is_known: bool,
}

#[derive(Deserialize)]
struct Answer {
    data: User,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    permissions: Granted,
}

/// The permissions of a user. A user without any may do everything.
#[derive(Debug, Default, Deserialize)]
struct Granted {
    #[serde(default)]
    publish: Subjects,
    #[serde(default)]
    subscribe: Subjects,
}

#[derive(Debug, Default, Deserialize)]
struct Subjects {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

impl Subjects {
    fn grants(&self, needed: &str) -> bool {
        let allowed =
            self.allow.is_empty() || self.allow.iter().any(|allowed| covers(allowed, needed));
        allowed && !self.deny.iter().any(|denied| overlap(denied, needed))
    }
}

impl Granted {
    /// What is needed and not granted.
    fn lacks(&self, needed: &Permissions) -> Vec<String> {
        let publish = needed.publish.iter().filter(|at| !self.publish.grants(at));
        let subscribe = needed.subscribe.iter();
        let subscribe = subscribe.filter(|at| !self.subscribe.grants(at));
        let publish = publish.map(|at| format!("publish {at}"));
        publish
            .chain(subscribe.map(|at| format!("subscribe {at}")))
            .collect()
    }
}

impl Connection {
    /// States what this role needs, and asks the broker at once what of it is missing. From then on
    /// [`Self::watch`] asks again and again.
    pub async fn need(&self, permissions: Permissions) {
        self.needs.lock().permissions = permissions;
        self.look_at_permissions().await;
    }

    /// What this user lacks of that which its role needs, such as `publish tasks.>`, as far as the
    /// broker tells.
    #[must_use]
    pub fn lacking(&self) -> Vec<String> {
        self.needs.lock().lacking.clone()
    }

    /// What the broker has denied to this connection lately, in the broker's words.
    #[must_use]
    pub fn denials(&self) -> Vec<String> {
        self.denied.lately(TOLD_FOR)
    }

    /// Whether this role takes no work, because it lacks a permission: the work would be done in
    /// vain, again and again.
    pub(crate) fn is_held_back(&self) -> bool {
        let needs = self.needs.lock();
        if needs.is_known {
            return !needs.lacking.is_empty();
        }
        drop(needs);
        self.denied.has_any(TOLD_FOR)
    }

    /// Gives back what a pull brought that was under way when this user lost a permission.
    pub(crate) async fn give_back(&self, delivery: &Delivery) {
        if let Err(error) = delivery.nak(GIVEN_BACK_FOR).await {
            tracing::debug!(%error, "a message could not be given back; it comes again");
        }
    }

    /// Asks again and again what this user may do.
    pub(crate) async fn watch_permissions(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Where the broker is away, there is nothing to be learned.
            let _ = tokio::time::timeout(LOOK_TIMEOUT, self.look_at_permissions()).await;
            if self.is_deaf() {
                self.subscribe_again().await;
            }
        }
    }

    /// Whether this user may not hear the answers of the broker, so that it learns of nothing.
    fn is_deaf(&self) -> bool {
        let inbox = self.client.new_inbox();
        let prefix = inbox.trim_end_matches(|c| c != '.');
        if !self.denied.subscribing_below(prefix) {
            return false;
        }
        self.note(vec![format!("subscribe {prefix}>")]);
        true
    }

    /// Connects again. The broker has dropped the subscriptions that it denies, and the client makes
    /// all of them again when it connects.
    async fn subscribe_again(&self) {
        if let Err(error) = self.client.force_reconnect().await {
            tracing::debug!(%error, "the client does not reconnect");
        }
    }

    /// Asks the broker what it grants to this user.
    pub(crate) async fn look_at_permissions(&self) {
        if self.needed() == Permissions::default() {
            return;
        }
        let asked = self.client.request(USER_INFO, Bytes::new()).await;
        let granted = asked
            .map_err(|error| self.denied.error(USER_INFO, error))
            .and_then(|answer| {
                let answer: Answer = serde_json::from_slice(&answer.payload)
                    .map_err(|error| Error::corrupt("what a user of NATS may do", error))?;
                Ok(answer.data.permissions)
            });
        match granted {
            Ok(granted) => {
                if self.note(granted.lacks(&self.needed())) {
                    self.subscribe_again().await;
                }
            }
            Err(Error::Denied(_)) => {
                self.note(vec![format!("publish {USER_INFO}")]);
            }
            Err(error) => {
                tracing::debug!(%error, "the broker does not say what this user may do");
            }
        }
    }

    fn needed(&self) -> Permissions {
        self.needs.lock().permissions.clone()
    }

    /// Notes what this user lacks. Returns whether it may subscribe to something again.
    fn note(&self, lacking: Vec<String>) -> bool {
        let subscribes =
            |lacking: &[String]| lacking.iter().any(|one| one.starts_with("subscribe"));
        let mut needs = self.needs.lock();
        needs.is_known = true;
        if lacking != needs.lacking {
            if lacking.is_empty() {
                tracing::info!("NATS grants this user everything that it needs again");
            } else {
                tracing::error!(
                    ?lacking,
                    "NATS does not grant this user everything that it needs; it takes no work"
                );
            }
        }
        let regained = subscribes(&needs.lacking) && !subscribes(&lacking);
        needs.lacking = lacking;
        regained
    }
}

impl Needs {
    fn lock(&self) -> std::sync::MutexGuard<'_, Needed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(answer: &str) -> Vec<String> {
        let answer: Answer = serde_json::from_str(answer).unwrap();
        let needed = Permissions {
            publish: ["tasks.>".into(), "stop.*".into()].into(),
            subscribe: ["_INBOX_api.>".into()].into(),
        };
        answer.data.permissions.lacks(&needed)
    }

    #[test]
    fn a_user_without_permissions_may_do_everything() {
        assert!(lacks(r#"{"data":{"user":"a","account":"b"}}"#).is_empty());
    }

    #[test]
    fn what_is_not_allowed_or_partly_denied_is_lacking() {
        let answer = r#"{"data":{"permissions":{
            "publish":{"allow":["tasks.>","stop.>"],"deny":["tasks.a.>"]},
            "subscribe":{"allow":["_INBOX_worker.>"]}}}}"#;
        assert_eq!(lacks(answer), ["publish tasks.>", "subscribe _INBOX_api.>"]);
    }
}
