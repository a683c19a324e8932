//! The views in Redis.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use domain::request::{Payload, RequestId, Status};
use futures::future::try_join_all;
use redis::{AsyncCommands, Script, ScriptInvocation};
use serde::de::DeserializeOwned;

use crate::view::{FailureView, GroupView, View};
use crate::{Connection, Error, Kind, content, key, script};

/// Reads and writes the views.
#[derive(Clone)]
pub struct Store {
    pub(crate) connection: Connection,
    time_to_live: Duration,
    scripts: std::sync::Arc<Scripts>,
}

struct Scripts {
    hash: Script,
    json: Script,
    once: Script,
    advance: Script,
}

impl Store {
    /// On this connection; views of ended requests are kept for `time_to_live`.
    #[must_use]
    pub fn new(connection: Connection, time_to_live: Duration) -> Self {
        Self {
            connection,
            time_to_live,
            scripts: std::sync::Arc::new(Scripts {
                hash: Script::new(script::PUT_HASH),
                json: Script::new(script::PUT_JSON),
                once: Script::new(script::PUT_ONCE),
                advance: Script::new(script::ADVANCE),
            }),
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        self.connection.ping().await
    }

    /// When a view's keys go, in Unix seconds; 0 while the request has not ended.
    #[must_use]
    pub fn expiry(&self, view: &View) -> i64 {
        view.completed_at.map_or(0, |at| {
            let keep = i64::try_from(self.time_to_live.as_secs()).unwrap_or(i64::MAX);
            at.as_second().saturating_add(keep)
        })
    }

    /// Writes what of a view is newer than sequence `written` (0: all of it).
    pub async fn put(&self, view: &View, written: u64) -> Result<(), Error> {
        self.put_kinds(view, written, &Kind::ALL).await
    }

    /// Writes the keys of these kinds.
    pub(crate) async fn put_kinds(
        &self,
        view: &View,
        written: u64,
        kinds: &[Kind],
    ) -> Result<(), Error> {
        let mut writes = self.writes(view, written);
        writes.retain(|(kind, _)| kinds.contains(kind));
        try_join_all(writes.iter().map(|(_, write)| self.run(write))).await?;
        Ok(())
    }

    fn writes(&self, view: &View, written: u64) -> Vec<(Kind, ScriptInvocation<'_>)> {
        let expiry = self.expiry(view);
        let terminal = view.status.is_terminal();
        let mut writes = vec![(Kind::Request, self.put_request(view, expiry))];
        for (index, group) in (0..).zip(&view.groups) {
            // The end of a request gives every key its expiry.
            if group.seq > written || terminal {
                let write = self.put_group(view.request_id, index, group, expiry);
                writes.push((Kind::Groups, write));
            }
        }
        if written == 0 || terminal {
            writes.extend(self.put_submission(view, expiry));
        }
        if let Some(response) = &view.response {
            let mut write = self.scripts.once.key(key::response(view.request_id));
            write.arg(content::reference(response)).arg(expiry);
            writes.push((Kind::Response, write));
        }
        // A failure that was redriven goes, whatever of the run is in this view already.
        if view.failure.is_some() || written > 0 || view.attempts > 0 {
            let write = self.put_failure(view, expiry);
            writes.extend(write.map(|write| (Kind::Failure, write)));
        }
        writes
    }

    async fn run(&self, write: &ScriptInvocation<'_>) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        let _: i64 = write.invoke_async(&mut connection).await?;
        Ok(())
    }

    fn put_request(&self, view: &View, expiry: i64) -> ScriptInvocation<'_> {
        let mut write = self.scripts.hash.key(key::request(view.request_id));
        write.arg(view.seq).arg(expiry);
        for (name, value) in content::request(view) {
            write.arg(name).arg(value);
        }
        write
    }

    fn put_group(
        &self,
        request: RequestId,
        index: u32,
        group: &GroupView,
        expiry: i64,
    ) -> ScriptInvocation<'_> {
        let mut write = self.scripts.hash.key(key::group(request, index));
        write.arg(group.seq).arg(expiry);
        for (name, value) in content::group(group) {
            write.arg(name).arg(value);
        }
        write
    }

    /// What never changes after the submission.
    fn put_submission(&self, view: &View, expiry: i64) -> Vec<(Kind, ScriptInvocation<'_>)> {
        let mut writes = Vec::new();
        if !view.metadata.is_empty() {
            let mut write = self.scripts.hash.key(key::metadata(view.request_id));
            write.arg(view.seq).arg(expiry);
            for (name, value) in &view.metadata {
                write.arg(name).arg(value);
            }
            writes.push((Kind::Metadata, write));
        }
        if let Some(idempotency_key) = &view.idempotency_key {
            let mut write = self.scripts.once.key(key::idempotency(idempotency_key));
            write.arg(view.request_id.to_string()).arg(expiry);
            writes.push((Kind::Idempotency, write));
        }
        writes
    }

    fn put_failure(&self, view: &View, expiry: i64) -> Option<ScriptInvocation<'_>> {
        let json = match &view.failure {
            Some(failure) => serde_json::to_string(failure).ok()?,
            None => String::new(),
        };
        let mut write = self.scripts.json.key(key::failure(view.request_id));
        write.arg(view.seq).arg(expiry).arg(json);
        Some(write)
    }

    /// The view of a request, where Redis has all of it.
    pub async fn get(&self, id: RequestId) -> Result<Option<View>, Error> {
        let mut connection = self.connection.clone();
        let fields: HashMap<String, String> = connection.hgetall(key::request(id)).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let hash = Hash {
            key: key::request(id),
            fields,
        };
        let group_count: u32 = hash.required("groupCount")?;
        let groups = try_join_all((0..group_count).map(|group| self.get_group(id, group))).await?;
        let Some(groups) = groups.into_iter().collect() else {
            return Ok(None);
        };
        let status: Status = hash.word("status")?;
        let failure = match status {
            Status::Failed => match self.get_failure(id).await? {
                Some(failure) => Some(failure),
                None => return Ok(None),
            },
            _ => None,
        };
        let response = match status {
            Status::Succeeded => match self.get_response(id).await? {
                Some(response) => Some(response),
                None => return Ok(None),
            },
            _ => None,
        };
        let metadata: BTreeMap<String, String> = connection.hgetall(key::metadata(id)).await?;
        Ok(Some(View {
            request_id: id,
            status,
            seq: hash.required("seq")?,
            group_count,
            current_group: hash.optional("currentGroup")?,
            received_at: hash.required("receivedAt")?,
            started_at: hash.optional("startedAt")?,
            completed_at: hash.optional("completedAt")?,
            attempts: hash.required("attempts")?,
            failed_tasks: hash.required("failedTasks")?,
            groups,
            failure,
            response,
            metadata: metadata
                .into_iter()
                .filter(|(name, _)| name != "seq")
                .collect(),
            idempotency_key: hash.optional("idempotencyKey")?,
        }))
    }

    async fn get_group(&self, id: RequestId, group: u32) -> Result<Option<GroupView>, Error> {
        let key = key::group(id, group);
        let mut connection = self.connection.clone();
        let fields: HashMap<String, String> = connection.hgetall(&key).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let hash = Hash { key, fields };
        Ok(Some(GroupView {
            name: hash.optional("name")?,
            expected: hash.required("expected")?,
            completed: hash.required("completed")?,
            failed: hash.required("failed")?,
            status: hash.word("status")?,
            started_at: hash.optional("startedAt")?,
            completed_at: hash.optional("completedAt")?,
            seq: hash.required("seq")?,
        }))
    }

    async fn get_failure(&self, id: RequestId) -> Result<Option<FailureView>, Error> {
        let key = key::failure(id);
        let mut connection = self.connection.clone();
        let json: Option<String> = connection.get(&key).await?;
        json.map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|error| Error::Corrupt {
                key,
                reason: error.to_string(),
            })
    }

    async fn get_response(&self, id: RequestId) -> Result<Option<Payload>, Error> {
        let mut connection = self.connection.clone();
        let text: Option<String> = connection.get(key::response(id)).await?;
        Ok(text.map(|text| dereference(&text)))
    }

    /// Up to where a shard is noted to be projected, 0 for nothing.
    pub async fn checkpoint(&self, shard: u8) -> Result<u64, Error> {
        self.advance(shard, 0, 0).await
    }

    /// Notes that a shard is projected up to `to`, unless less than `from` is noted; gives what
    /// was noted before. Less than `from` means that Redis was emptied or set back.
    pub async fn advance(&self, shard: u8, from: u64, to: u64) -> Result<u64, Error> {
        let mut connection = self.connection.clone();
        let mut write = self.scripts.advance.key(key::checkpoint(shard));
        Ok(write
            .arg(from)
            .arg(to)
            .invoke_async(&mut connection)
            .await?)
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

struct Hash {
    key: String,
    fields: HashMap<String, String>,
}

impl Hash {
    fn corrupt(&self, name: &str, reason: impl std::fmt::Display) -> Error {
        Error::Corrupt {
            key: self.key.clone(),
            reason: format!("{name}: {reason}"),
        }
    }

    fn optional<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Error> {
        self.fields
            .get(name)
            .map(|value| value.parse().map_err(|error| self.corrupt(name, error)))
            .transpose()
    }

    fn required<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Error> {
        self.optional(name)?
            .ok_or_else(|| self.corrupt(name, "it is missing"))
    }

    /// A field that is one of a closed set of words.
    fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let word: String = self.required(name)?;
        serde_json::from_value(serde_json::Value::String(word))
            .map_err(|error| self.corrupt(name, error))
    }
}
