//! The comparison of a request's keys in Redis with the view that the log gives.

use domain::request::Sequence;
use std::collections::HashMap;
use std::slice;

use redis::{Pipeline, RedisResult, Value};

use crate::error::is_of_another_type;
use crate::read::Answers;
use crate::view::View;
use crate::{Error, Kind, Store};

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
    /// sequence that the view in Redis has seen, `NONE` without one, and the differences.
    pub async fn differences(
        &self,
        views: &[View],
    ) -> Result<Vec<(Sequence, Vec<Difference>)>, Error> {
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::pipe();
        for view in views {
            ask_for(&mut ask, view);
        }
        let mut connection = self.connection.clone();
        let answers: RedisResult<Vec<Value>> = ask.query_async(&mut connection).await;
        let mut answers = match answers {
            Ok(answers) => Answers::new(answers),
            Err(error) if is_of_another_type(&error) => {
                return Box::pin(self.of_another_type(views)).await;
            }
            Err(error) => return Err(error.into()),
        };
        views
            .iter()
            .map(|view| compare(view, &mut answers))
            .collect()
    }
}

impl Store {
    /// The differences of views, of which one at least has a key of another type.
    async fn of_another_type(
        &self,
        views: &[View],
    ) -> Result<Vec<(Sequence, Vec<Difference>)>, Error> {
        let mut all = Vec::with_capacity(views.len());
        if let [view] = views {
            let key = Kind::Request.part().key_of(view).unwrap_or_default();
            all.push((
                Sequence::NONE,
                vec![Difference {
                    key,
                    kind: Kind::Request,
                    field: "type".into(),
                    expected: Some("the keys of a view".into()),
                    found: Some("a key of another type".into()),
                }],
            ));
            return Ok(all);
        }
        for view in views {
            all.extend(self.differences(slice::from_ref(view)).await?);
        }
        Ok(all)
    }
}

/// The parts that a view has, each with its key.
fn parts(view: &View) -> impl Iterator<Item = (Kind, String)> {
    Kind::all().filter_map(|kind| Some((kind, kind.part().key_of(view)?)))
}

fn ask_for(ask: &mut Pipeline, view: &View) {
    for (kind, key) in parts(view) {
        kind.part().ask_to_compare(key, ask);
    }
}

fn compare(view: &View, answers: &mut Answers) -> Result<(Sequence, Vec<Difference>), Error> {
    let mut found = Differences {
        kind: Kind::Request,
        key: String::new(),
        seen: Sequence::NONE,
        all: Vec::new(),
    };
    for (kind, key) in parts(view) {
        (found.kind, found.key) = (kind, key);
        kind.part().compare(view, answers, &mut found)?;
    }
    Ok((found.seen, found.all))
}

/// The differences of a view, and the part that is compared now.
pub(crate) struct Differences {
    kind: Kind,
    key: String,
    /// The sequence that the view in Redis has seen. The comparison of the request tells it.
    pub seen: Sequence,
    all: Vec<Difference>,
}

impl Differences {
    /// Notes that a field differs.
    pub fn one(&mut self, field: &str, expected: Option<&str>, found: Option<&str>) {
        let short = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        self.all.push(Difference {
            key: self.key.clone(),
            kind: self.kind,
            field: field.to_owned(),
            expected: expected.map(short),
            found: found.map(short),
        });
    }

    /// Notes that the key is missing.
    pub fn missing(&mut self) {
        self.one("key", Some("there"), None);
    }

    /// Notes fields that the log does not have.
    pub fn unexpected(&mut self, fields: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in fields {
            self.one(&name, None, Some(&value));
        }
    }

    /// Compares the values of a key that has a single one.
    pub fn text(&mut self, expected: Option<&str>, found: Option<&str>) {
        if expected != found {
            self.one("value", expected, found);
        }
    }

    /// Compares the fields of a hash.
    pub fn hash(
        &mut self,
        seq: Sequence,
        expected: Vec<(&'static str, String)>,
        mut found: HashMap<String, String>,
    ) {
        if found.is_empty() {
            return self.missing();
        }
        let seq = ("seq", seq.to_string());
        for (name, expected) in std::iter::once(seq).chain(expected) {
            let value = found.remove(name);
            if value.as_deref() != Some(expected.as_str()) {
                self.one(name, Some(&expected), value.as_deref());
            }
        }
        self.unexpected(found);
    }
}
