//! The views in Redis.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::request::{Payload, RequestId, Status};
use futures::future::try_join_all;
use redis::AsyncCommands;
use serde::de::DeserializeOwned;

use crate::script::Scripts;
use crate::view::{FailureView, GroupView, View};
use crate::{Connection, Error, key};

/// Reads and writes the views.
#[derive(Clone)]
pub struct Store {
    pub(crate) connection: Connection,
    time_to_live: Duration,
    pub(crate) scripts: Arc<Scripts>,
}

impl Store {
    /// On this connection; views of ended requests are kept for `time_to_live`.
    #[must_use]
    pub fn new(connection: Connection, time_to_live: Duration) -> Self {
        Self {
            connection,
            time_to_live,
            scripts: Arc::default(),
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
            redriven: false,
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
