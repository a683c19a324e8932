//! The request itself: a hash with its status, its counts, its times and its sequence.

use std::collections::HashMap;

use domain::access::Tenant;
use domain::request::{RequestId, Sequence, Status};
use jiff::Timestamp;
use redis::{AsyncCommands, Pipeline, RedisResult, Script};

use super::Part;
use crate::check::Differences;
use crate::error::is_of_another_type;
use crate::read::{Answers, Draft, Hash};
use crate::view::{RequestStatus, View};
use crate::write::{Change, Write};
use crate::{Error, Store, key, script};

pub(crate) struct Request;

fn key(id: RequestId) -> String {
    format!("{}{id}", key::STATE)
}

/// The fields other than the sequence.
fn fields(view: &View) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("status", view.status.as_str().into()),
        ("groupCount", view.group_count.to_string()),
        ("receivedAt", view.received_at.to_string()),
        ("attempts", view.attempts.to_string()),
        ("failedTasks", view.failed_tasks.to_string()),
    ];
    fields.extend(view.current_group.map(|g| ("currentGroup", g.to_string())));
    fields.extend(view.started_at.map(|at| ("startedAt", at.to_string())));
    fields.extend(view.completed_at.map(|at| ("completedAt", at.to_string())));
    let tenant = view.tenant.named();
    fields.extend(tenant.map(|name| ("tenant", name.to_owned())));
    let submitter = view.submitter.clone();
    fields.extend(submitter.map(|name| ("submitter", name)));
    let key = view.idempotency_key.clone();
    fields.extend(key.map(|key| ("idempotencyKey", key)));
    fields
}

impl Part for Request {
    fn key(&self, id: RequestId) -> Option<String> {
        Some(key(id))
    }

    fn script(&self) -> &'static str {
        script::PUT_HASH
    }

    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        let view = change.view;
        let write = Write::new(script, key(view.request_id));
        let write = write.with(view.seq.get()).with(change.expiry);
        writes.push(write.with_fields(fields(view)));
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.hgetall(key);
    }

    fn read(&self, draft: &mut Draft, answers: &mut Answers) -> Result<bool, Error> {
        let view = &mut draft.view;
        let hash = Hash {
            key: key(view.request_id),
            fields: answers.take()?,
        };
        if hash.fields.is_empty() {
            return Ok(false);
        }
        draft.status = hash.word("status")?;
        view.status = match draft.status {
            Status::Running => RequestStatus::Running,
            Status::Cancelled => RequestStatus::Cancelled,
            // The part with the response or the failure sets the status of these ends.
            Status::Received | Status::Succeeded | Status::Failed => RequestStatus::Received,
        };
        view.seq = hash.required("seq")?;
        view.group_count = hash.required("groupCount")?;
        view.current_group = hash.optional("currentGroup")?;
        view.received_at = hash.required("receivedAt")?;
        view.started_at = hash.optional("startedAt")?;
        view.completed_at = hash.optional("completedAt")?;
        view.attempts = hash.required("attempts")?;
        view.failed_tasks = hash.required("failedTasks")?;
        view.tenant = hash.optional("tenant")?.unwrap_or_default();
        view.submitter = hash.optional("submitter")?;
        view.idempotency_key = hash.optional("idempotencyKey")?;
        Ok(true)
    }

    fn ask_to_compare(&self, key: String, ask: &mut Pipeline) {
        ask.hgetall(&key);
        ask.ttl(key);
    }

    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let hash: HashMap<String, String> = answers.take()?;
        let seen = hash.get("seq").and_then(|seq| seq.parse().ok());
        found.seen = seen.unwrap_or(Sequence::NONE);
        found.hash(view.seq, fields(view), hash);
        expiry(view, answers.take()?, found);
        Ok(())
    }
}

/// Compares the expiry, which Redis tells as the seconds left: -1 without one, -2 without the key.
fn expiry(view: &View, seconds_left: i64, found: &mut Differences) {
    let said = |expires| if expires { "some" } else { "none" };
    let (wanted, expires) = (view.status.is_terminal(), seconds_left != -1);
    if wanted != expires && seconds_left != -2 {
        found.one("expiry", Some(said(wanted)), Some(said(expires)));
    }
}

impl Store {
    /// The sequence that the view of a request has seen, according to its own key.
    pub(crate) async fn seen(&self, request: RequestId) -> Result<Option<Sequence>, Error> {
        let seen: Option<u64> = self.connection().hget(key(request), "seq").await?;
        Ok(seen.map(Sequence::new))
    }

    /// The idempotency key of a request with its tenant, according to its view.
    pub(crate) async fn idempotency_key(
        &self,
        request: RequestId,
    ) -> Result<Option<(Tenant, String)>, Error> {
        let fields = ["idempotencyKey", "tenant"];
        let found: RedisResult<(Option<String>, Option<String>)> =
            self.connection().hmget(key(request), &fields).await;
        let (name, tenant) = match found {
            Err(error) if is_of_another_type(&error) => return Ok(None),
            found => found?,
        };
        let tenant = tenant.and_then(|tenant| tenant.parse().ok());
        Ok(name.map(|name| (tenant.unwrap_or_default(), name)))
    }

    /// When a request was received, according to its view.
    pub async fn received_at(&self, request: RequestId) -> Result<Option<Timestamp>, Error> {
        let mut connection = self.connection();
        let at: Option<String> = connection.hget(key(request), "receivedAt").await?;
        Ok(at.and_then(|at| at.parse().ok()))
    }

    /// When the views of these requests expire, in Unix seconds, as they say themselves: 0 for one
    /// that has not ended. A request without a view is not among them.
    pub(crate) async fn expiries(
        &self,
        requests: impl Iterator<Item = RequestId> + Clone,
    ) -> Result<HashMap<RequestId, Option<i64>>, Error> {
        let mut ask = redis::pipe();
        for request in requests.clone() {
            ask.hmget(key(request), &["status", "completedAt"]);
        }
        if ask.is_empty() {
            return Ok(HashMap::new());
        }
        let mut connection = self.connection();
        let answers: Vec<(Option<String>, Option<String>)> =
            match ask.query_async(&mut connection).await {
                Ok(answers) => answers,
                // A foreign key is repaired with its view. Meanwhile the notes of expiry count.
                Err(error) if is_of_another_type(&error) => return Ok(HashMap::new()),
                Err(error) => return Err(error.into()),
            };
        let expiry = |(status, completed): (Option<String>, Option<String>)| {
            status?;
            let completed = completed.and_then(|at| at.parse().ok());
            Some(completed.map_or(0, |at| self.expiry_at(at)))
        };
        Ok(requests.zip(answers.into_iter().map(expiry)).collect())
    }

    /// Deletes the request's own key. A view without it is incomplete, so readers fold the log.
    pub async fn withdraw(&self, request: RequestId) -> Result<(), Error> {
        let _: u64 = self.connection().del(key(request)).await?;
        Ok(())
    }
}
