//! Reading a view: all its keys in one round trip, however many groups it has.

use std::collections::HashMap;
use std::str::FromStr;
use std::vec;

use domain::request::{RequestId, Sequence, Status};
use jiff::Timestamp;
use redis::{FromRedisValue, Value};
use serde::de::DeserializeOwned;

use crate::view::View;
use crate::{Error, Kind, Store};

impl Store {
    /// The view of a request, where Redis has all of it.
    pub async fn get(&self, id: RequestId) -> Result<Option<View>, Error> {
        let mut ask = redis::pipe();
        let parts = Kind::all().map(Kind::part).filter(|part| part.is_read());
        for part in parts.clone() {
            if let Some(key) = part.key(id) {
                part.ask(key, &mut ask);
            }
        }
        let mut answers = Answers::new(ask.query_async(&mut self.connection()).await?);
        let mut draft = Draft {
            view: View::new(id, Sequence::new(0), Timestamp::UNIX_EPOCH),
            status: Status::Received,
        };
        for part in parts {
            if !part.read(&mut draft, &mut answers)? {
                return Ok(None);
            }
        }
        Ok(Some(draft.view))
    }
}

/// A view of which the parts are being read.
pub(crate) struct Draft {
    pub view: View,
    /// The status by the key of the request: it says what the view needs of the other parts.
    pub status: Status,
}

/// The answers of Redis, in the order of the commands.
pub(crate) struct Answers(vec::IntoIter<Value>);

impl Answers {
    pub fn new(answers: Vec<Value>) -> Self {
        Self(answers.into_iter())
    }

    /// Takes the next answer.
    pub fn take<T: FromRedisValue>(&mut self) -> Result<T, Error> {
        let answer = self.0.next().unwrap_or(Value::Nil);
        redis::from_redis_value(answer).map_err(|error| Error::Unavailable(error.to_string()))
    }
}

/// A hash that is read field by field.
pub(crate) struct Hash {
    pub key: String,
    pub fields: HashMap<String, String>,
}

impl Hash {
    fn corrupt(&self, name: &str, reason: impl std::fmt::Display) -> Error {
        Error::Corrupt {
            key: self.key.clone(),
            reason: format!("{name}: {reason}"),
        }
    }

    pub fn optional<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Error> {
        self.fields
            .get(name)
            .map(|value| value.parse().map_err(|error| self.corrupt(name, error)))
            .transpose()
    }

    pub fn required<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Error> {
        self.optional(name)?
            .ok_or_else(|| self.corrupt(name, "it is missing"))
    }

    /// A field that is one of a closed set of words.
    pub fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let word: String = self.required(name)?;
        serde_json::from_value(serde_json::Value::String(word))
            .map_err(|error| self.corrupt(name, error))
    }
}
