//! Walking over every key, to find those that no request of the log has.

use domain::request::RequestId;
use jiff::Timestamp;
use redis::AsyncCommands;

use crate::{Error, Store, key};

/// How many keys one look asks for.
const LOOK: usize = 1_000;

/// A key of a request's view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewKey {
    /// The key.
    pub key: String,
    /// The request.
    pub request: RequestId,
    /// The group, where it is of one.
    pub group: Option<u32>,
}

impl Store {
    /// Some of the keys of views: begin with 0; 0 again says that it was all. A key may come
    /// twice, and those that come and go meanwhile may be left out.
    pub async fn view_keys(&self, cursor: u64) -> Result<(u64, Vec<ViewKey>), Error> {
        let mut connection = self.connection();
        let (cursor, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("COUNT")
            .arg(LOOK)
            .query_async(&mut connection)
            .await?;
        let mut found: Vec<ViewKey> = keys.iter().filter_map(|key| key::parse(key)).collect();
        let prefix = key::idempotency("");
        for key in keys.into_iter().filter(|key| key.starts_with(&prefix)) {
            let request: Option<String> = connection.get(&key).await?;
            if let Some(Ok(request)) = request.map(|request| request.parse()) {
                let group = None;
                found.push(ViewKey {
                    key,
                    request,
                    group,
                });
            }
        }
        Ok((cursor, found))
    }

    /// Whether a key is there, now.
    pub async fn has_key(&self, key: &ViewKey) -> Result<bool, Error> {
        Ok(self.connection().exists(&key.key).await?)
    }

    /// When a request was received, by its view.
    pub async fn received_at(&self, request: RequestId) -> Result<Option<Timestamp>, Error> {
        let at: Option<String> = self
            .connection()
            .hget(key::request(request), "receivedAt")
            .await?;
        Ok(at.and_then(|at| at.parse().ok()))
    }
}
