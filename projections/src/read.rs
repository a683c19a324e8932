//! Reading a view: all its keys in one round trip, however many groups it has.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use domain::request::{Payload, RequestId, Status};
use serde::de::DeserializeOwned;

use crate::view::{FailureView, GroupView, View};
use crate::{Error, Store, content, key};

/// The content of a view's keys: the request, its groups, its failure, its response, and the
/// headers of its submission.
type Found = (
    HashMap<String, String>,
    HashMap<String, String>,
    Option<String>,
    Option<String>,
    BTreeMap<String, String>,
);

impl Store {
    /// The view of a request, where Redis has all of it.
    pub async fn get(&self, id: RequestId) -> Result<Option<View>, Error> {
        let mut ask = redis::pipe();
        ask.hgetall(key::request(id))
            .hgetall(key::groups(id))
            .get(key::failure(id))
            .get(key::response(id))
            .hgetall(key::metadata(id));
        view(id, ask.query_async(&mut self.connection()).await?)
    }
}

/// Builds the view from its keys; `None` where one of them is missing.
fn view(id: RequestId, found: Found) -> Result<Option<View>, Error> {
    let (fields, groups, failure, response, mut metadata) = found;
    if fields.is_empty() {
        return Ok(None);
    }
    let hash = Hash {
        key: key::request(id),
        fields,
    };
    let group_count: u32 = hash.required("groupCount")?;
    let Some(groups) = all_groups(id, group_count, &groups)? else {
        return Ok(None);
    };
    let status: Status = hash.word("status")?;
    let failure = failure.filter(|_| status == Status::Failed);
    let response = response.filter(|_| status == Status::Succeeded);
    if (status == Status::Failed && failure.is_none())
        || (status == Status::Succeeded && response.is_none())
    {
        return Ok(None);
    }
    metadata.remove("seq");
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
        failure: failure.map(|json| read_failure(id, &json)).transpose()?,
        response: response.map(|text| dereference(&text)),
        metadata,
        idempotency_key: hash.optional("idempotencyKey")?,
    }))
}

/// The groups in their order; `None` where one is missing.
fn all_groups(
    id: RequestId,
    count: u32,
    fields: &HashMap<String, String>,
) -> Result<Option<Vec<GroupView>>, Error> {
    let mut groups = Vec::new();
    for index in 0..count {
        let Some(field) = fields.get(&index.to_string()) else {
            return Ok(None);
        };
        let group = content::read_group(field).map_err(|reason| Error::Corrupt {
            key: key::groups(id),
            reason: format!("{index}: {reason}"),
        });
        groups.push(group?);
    }
    Ok(Some(groups))
}

fn read_failure(id: RequestId, json: &str) -> Result<FailureView, Error> {
    serde_json::from_str(json).map_err(|error| Error::Corrupt {
        key: key::failure(id),
        reason: error.to_string(),
    })
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
