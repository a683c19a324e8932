//! The comparison of a request's keys in Redis with the view that the log gives.

use std::collections::{BTreeMap, HashMap};

use redis::Pipeline;

use crate::view::{FailureView, GroupView, View};
use crate::{Error, Kind, Store, content, key};

/// One thing in Redis that differs from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// The kind of the key.
    pub kind: Kind,
    /// The field of a hash, or the other part of the key that differs.
    pub field: String,
    /// The value by the log; `None` where the log has no such thing.
    pub expected: Option<String>,
    /// The value in Redis; `None` where Redis has no such thing.
    pub found: Option<String>,
}

/// The most characters of a value that a difference shows.
const SHOWN_CHARS: usize = 120;

impl Store {
    /// Compares the keys of these requests with their views, in one round trip. Each result has the
    /// sequence that the view in Redis has seen, 0 without one, and the differences.
    pub async fn differences(&self, views: &[View]) -> Result<Vec<(u64, Vec<Difference>)>, Error> {
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::pipe();
        for view in views {
            ask_for(&mut ask, view);
        }
        let mut connection = self.connection.clone();
        let answers: Vec<redis::Value> = ask.query_async(&mut connection).await?;
        let mut answers = answers.into_iter();
        views
            .iter()
            .map(|view| compare(view, &mut answers))
            .collect()
    }
}

fn ask_for(ask: &mut Pipeline, view: &View) {
    let id = view.request_id;
    ask.hgetall(key::request(id));
    ask.ttl(key::request(id));
    ask.hgetall(key::groups(id));
    ask.get(key::failure(id));
    ask.get(key::response(id));
    ask.hgetall(key::metadata(id));
    if let Some(idempotency_key) = &view.idempotency_key {
        ask.get(key::idempotency(idempotency_key));
    }
}

/// Takes the next answer of Redis. The answers come in the order of the commands.
fn take<T: redis::FromRedisValue>(
    answers: &mut impl Iterator<Item = redis::Value>,
) -> Result<T, Error> {
    let answer = answers.next().unwrap_or(redis::Value::Nil);
    redis::from_redis_value(answer).map_err(|error| Error::Unavailable(error.to_string()))
}

fn compare(
    view: &View,
    answers: &mut impl Iterator<Item = redis::Value>,
) -> Result<(u64, Vec<Difference>), Error> {
    let id = view.request_id;
    let mut found = Differences::default();
    let request: HashMap<String, String> = take(answers)?;
    let seen = request.get("seq").and_then(|seq| seq.parse().ok());
    found.hash(&key::request(id), view.seq, content::request(view), request);
    let time_to_live: i64 = take(answers)?;
    if (time_to_live == -1) == view.status.is_terminal() && time_to_live != -2 {
        let wanted = if view.status.is_terminal() {
            "some"
        } else {
            "none"
        };
        let expiry = if time_to_live == -1 { "none" } else { "some" };
        found.one(&key::request(id), "expiry", Some(wanted), Some(expiry));
    }
    let groups: BTreeMap<String, String> = take(answers)?;
    found.groups(&key::groups(id), view, groups);
    let failure: Option<String> = take(answers)?;
    found.failure(&key::failure(id), view, failure.as_deref());
    let response: Option<String> = take(answers)?;
    let expected = view.response.as_ref().map(content::reference);
    found.text(&key::response(id), expected.as_deref(), response.as_deref());
    let metadata: BTreeMap<String, String> = take(answers)?;
    found.metadata(&key::metadata(id), view, metadata);
    if let Some(idempotency_key) = &view.idempotency_key {
        let request: Option<String> = take(answers)?;
        let (key, id) = (key::idempotency(idempotency_key), id.to_string());
        found.text(&key, Some(&id), request.as_deref());
    }
    Ok((seen.unwrap_or(0), found.0))
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn one(&mut self, key: &str, field: &str, expected: Option<&str>, found: Option<&str>) {
        let short = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        self.0.push(Difference {
            key: key.to_owned(),
            kind: Kind::of(key),
            field: field.to_owned(),
            expected: expected.map(short),
            found: found.map(short),
        });
    }

    fn text(&mut self, key: &str, expected: Option<&str>, found: Option<&str>) {
        if expected != found {
            self.one(key, "value", expected, found);
        }
    }

    fn hash(
        &mut self,
        key: &str,
        seq: u64,
        expected: Vec<(&'static str, String)>,
        mut found: HashMap<String, String>,
    ) {
        if found.is_empty() {
            return self.one(key, "key", Some("there"), None);
        }
        let seq = ("seq", seq.to_string());
        for (name, expected) in std::iter::once(seq).chain(expected) {
            let value = found.remove(name);
            if value.as_deref() != Some(expected.as_str()) {
                self.one(key, name, Some(&expected), value.as_deref());
            }
        }
        for (name, value) in found {
            self.one(key, &name, None, Some(&value));
        }
    }

    /// Compares the groups. The sequence beside the groups is that of the last view that was
    /// written with a changed group: no less than any group's, and no more than the view's.
    fn groups(&mut self, key: &str, view: &View, mut found: BTreeMap<String, String>) {
        if found.is_empty() && !view.groups.is_empty() {
            return self.one(key, "key", Some("there"), None);
        }
        let seq = found.remove("seq");
        let newest = view.groups.iter().map(|group| group.seq).max();
        let parsed = seq.as_ref().and_then(|seq| seq.parse().ok());
        if parsed.is_none_or(|seq| seq > view.seq || Some(seq) < newest) && newest.is_some() {
            self.one(key, "seq", Some(&view.seq.to_string()), seq.as_deref());
        }
        for (index, group) in (0_u32..).zip(&view.groups) {
            let field = found.remove(&index.to_string());
            self.group(key, index, group, field.as_deref());
        }
        for (name, value) in found {
            self.one(key, &name, None, Some(&value));
        }
    }

    fn group(&mut self, key: &str, index: u32, group: &GroupView, found: Option<&str>) {
        let expected = content::group(group);
        let Some(read) = found.and_then(|field| content::read_group(field).ok()) else {
            return self.one(key, &index.to_string(), Some(&expected), found);
        };
        let facts = content::facts(group).into_iter().zip(content::facts(&read));
        for ((name, expected), (_, found)) in facts.filter(|(expected, found)| expected != found) {
            let name = format!("{name} of group {index}");
            self.one(key, &name, expected.as_deref(), found.as_deref());
        }
    }

    /// Compares the failure after parsing it, because its text may be written in another order.
    fn failure(&mut self, key: &str, view: &View, found: Option<&str>) {
        let parsed = found.map(serde_json::from_str::<FailureView>);
        match (&view.failure, parsed) {
            (None, None) => {}
            (Some(expected), Some(Ok(parsed))) if *expected == parsed => {}
            (expected, _) => {
                let expected = expected.as_ref().map(|failure| &*failure.failure.message);
                self.one(key, "value", expected, found);
            }
        }
    }

    /// Compares the metadata. The sequence beside the metadata says only when they were written.
    fn metadata(&mut self, key: &str, view: &View, mut found: BTreeMap<String, String>) {
        if !view.metadata.contains_key("seq") {
            found.remove("seq");
        }
        if found.is_empty() && !view.metadata.is_empty() {
            return self.one(key, "key", Some("there"), None);
        }
        for (name, expected) in &view.metadata {
            let value = found.remove(name);
            if value.as_ref() != Some(expected) {
                self.one(key, name, Some(expected), value.as_deref());
            }
        }
        for (name, value) in found {
            self.one(key, &name, None, Some(&value));
        }
    }
}
