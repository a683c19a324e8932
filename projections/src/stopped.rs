//! Views that were stopped at a commit that cannot be read or projected. They are kept where every
//! instance sees them, until an instance can continue them.

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use redis::{AsyncCommands, RedisResult};
use serde::{Deserialize, Serialize};

use crate::{Error, Store, key};

/// A view that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedView {
    /// The request.
    pub request_id: RequestId,
    /// The sequence of the commit at which it was stopped.
    pub sequence: Sequence,
    /// Why it was stopped.
    pub reason: String,
    /// When it was stopped.
    pub stopped_at: Timestamp,
}

impl StoppedView {
    /// The reason of a view whose commit ended the process that projected it, again and again.
    pub const CONVICTED: &str = "its projection ended the process again and again";

    /// Whether folding the log of the request may end the process.
    #[must_use]
    pub fn is_convicted(&self) -> bool {
        self.reason == Self::CONVICTED
    }
}

impl Store {
    /// The stop of the view of a request, if it is stopped.
    pub async fn stopped_view(&self, request: RequestId) -> Result<Option<StoppedView>, Error> {
        let mut connection = self.connection();
        let json: RedisResult<Option<String>> =
            connection.hget(key::STOPPED, request.to_string()).await;
        let json = json.map_err(foreign)?;
        json.map(|json| serde_json::from_str(&json).map_err(|error| corrupt(&error)))
            .transpose()
    }

    /// Notes that a view was stopped. An earlier note of the same view stands.
    pub async fn stop_view(&self, view: &StoppedView) -> Result<(), Error> {
        let id = view.request_id.to_string();
        let json = serde_json::to_string(view).map_err(|error| corrupt(&error))?;
        let mut connection = self.connection();
        let noted: RedisResult<bool> = connection.hset_nx(key::STOPPED, id, json).await;
        noted.map_err(foreign)?;
        Ok(())
    }

    /// Notes that a view continues.
    pub async fn resume_view(&self, request: RequestId) -> Result<(), Error> {
        let mut connection = self.connection();
        let _: u64 = connection.hdel(key::STOPPED, request.to_string()).await?;
        Ok(())
    }

    /// The stopped views.
    pub async fn stopped_views(&self) -> Result<Vec<StoppedView>, Error> {
        let mut connection = self.connection();
        let stopped: RedisResult<Vec<String>> = connection.hvals(key::STOPPED).await;
        stopped
            .map_err(foreign)?
            .iter()
            .map(|json| serde_json::from_str(json).map_err(|error| corrupt(&error)))
            .collect()
    }
}

fn foreign(error: redis::RedisError) -> Error {
    Error::of_key(key::STOPPED.to_owned(), error)
}

fn corrupt(error: &serde_json::Error) -> Error {
    Error::Corrupt {
        key: key::STOPPED.to_owned(),
        reason: error.to_string(),
    }
}
