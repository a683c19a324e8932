//! Views that are built next to the live ones. They have keys of their own until they replace the
//! live ones, so that a rebuild can be stopped and resumed.

use std::time::Duration;

use domain::request::RequestId;
use redis::AsyncCommands;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::view::View;
use crate::{Error, Kind, Store};

/// How long staged views are kept when no process continues the rebuild.
const KEPT: Duration = Duration::from_hours(24);
/// How many ids one scan of the staged views asks for, and how many views one write has.
const LOOK: usize = 1_000;

/// The views of one rebuild.
#[derive(Clone)]
pub struct Staging {
    store: Store,
    name: String,
}

impl Store {
    /// The staged views under this name.
    #[must_use]
    pub fn staging(&self, name: &str) -> Staging {
        Staging {
            store: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Replaces the keys of these kinds with those of a view, and deletes the ones that the view
    /// does not have. Returns whether it did so: a view that the projector has written since is
    /// newer, and stays.
    pub async fn replace(&self, view: &View, kinds: &[Kind]) -> Result<bool, Error> {
        self.put_kinds(view, kinds).await?;
        let seen = self.seen(view.request_id).await?;
        let newer = seen.is_some_and(|seen| seen > view.seq);
        if !newer {
            let parts = kinds.iter().map(|kind| kind.part());
            let absent = parts.filter(|part| part.is_absent(view));
            self.delete(absent.filter_map(|part| part.key_of(view)))
                .await?;
        }
        Ok(!newer)
    }

    /// Deletes the keys of these kinds, so that a view can be put in their place. This is for keys
    /// that have a sequence that the log has never had, because no guarded write gets past such a
    /// sequence.
    pub async fn remove(&self, view: &View, kinds: &[Kind]) -> Result<(), Error> {
        let parts = kinds.iter().map(|kind| kind.part());
        self.delete(parts.filter_map(|part| part.key(view.request_id)))
            .await
    }

    async fn delete(&self, keys: impl Iterator<Item = String>) -> Result<(), Error> {
        let mut connection = self.connection();
        for key in keys {
            let _: i64 = connection.del(key).await?;
        }
        Ok(())
    }
}

impl Staging {
    fn progress_key(&self) -> String {
        format!("rebuild:{}:progress", self.name)
    }

    fn ids_key(&self) -> String {
        format!("rebuild:{}:ids", self.name)
    }

    fn view_key(&self, id: RequestId) -> String {
        format!("rebuild:{}:view:{id}", self.name)
    }

    /// How far the rebuild has come, where one was begun.
    pub async fn progress<P: DeserializeOwned>(&self) -> Result<Option<P>, Error> {
        let mut connection = self.store.connection.clone();
        let key = self.progress_key();
        let json: Option<String> = connection.get(&key).await?;
        json.map(|json| parse(&key, &json)).transpose()
    }

    /// Stages these views, and then notes how far the rebuild has come with them.
    pub async fn keep<P: Serialize + Sync>(
        &self,
        views: &[&View],
        progress: &P,
    ) -> Result<(), Error> {
        let mut connection = self.store.connection.clone();
        for views in views.chunks(LOOK) {
            let mut write = redis::pipe();
            for view in views {
                let json = text(&self.view_key(view.request_id), view)?;
                write
                    .set_ex(self.view_key(view.request_id), json, KEPT.as_secs())
                    .ignore();
                write
                    .sadd(self.ids_key(), view.request_id.to_string())
                    .ignore();
            }
            write
                .expire(
                    self.ids_key(),
                    i64::try_from(KEPT.as_secs()).unwrap_or(i64::MAX),
                )
                .ignore();
            let () = write.query_async(&mut connection).await?;
        }
        let json = text(&self.progress_key(), progress)?;
        let () = connection
            .set_ex(self.progress_key(), json, KEPT.as_secs())
            .await?;
        Ok(())
    }

    /// Reads these views, where they are staged.
    pub async fn views(&self, ids: &[RequestId]) -> Result<Vec<View>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = redis::pipe();
        for id in ids {
            read.get(self.view_key(*id));
        }
        let mut connection = self.store.connection.clone();
        let found: Vec<Option<String>> = read.query_async(&mut connection).await?;
        found
            .into_iter()
            .zip(ids)
            .filter_map(|(json, id)| Some(parse(&self.view_key(*id), &json?)))
            .collect()
    }

    /// Reads the ids of the staged views, some at a time. The first cursor is 0. A returned cursor
    /// of 0 says that there are no more.
    pub async fn ids(&self, cursor: u64) -> Result<(u64, Vec<RequestId>), Error> {
        let mut connection = self.store.connection.clone();
        let (cursor, ids): (u64, Vec<String>) = redis::cmd("SSCAN")
            .arg(self.ids_key())
            .arg(cursor)
            .arg("COUNT")
            .arg(LOOK)
            .query_async(&mut connection)
            .await?;
        let ids = ids.iter().filter_map(|id| id.parse().ok()).collect();
        Ok((cursor, ids))
    }

    /// Drops these staged views after they have replaced the live ones.
    pub async fn drop_views(&self, ids: &[RequestId]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut write = redis::pipe();
        for id in ids {
            write.del(self.view_key(*id)).ignore();
        }
        let mut connection = self.store.connection.clone();
        let () = write.query_async(&mut connection).await?;
        Ok(())
    }

    /// Drops the rest of the rebuild.
    pub async fn end(&self) -> Result<(), Error> {
        let mut connection = self.store.connection.clone();
        let _: i64 = connection.del(self.progress_key()).await?;
        let _: i64 = connection.del(self.ids_key()).await?;
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(key: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::Corrupt {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

fn text<T: Serialize>(key: &str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}
