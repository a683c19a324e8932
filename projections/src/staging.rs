//! Views built beside the live ones: kept under keys of their own until they take their place,
//! so that building them can be stopped and taken up again.

use std::time::Duration;

use domain::request::RequestId;
use redis::AsyncCommands;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::view::View;
use crate::{Error, Kind, Store, key};

/// How long what was built is kept when nobody goes on with it.
const KEPT: Duration = Duration::from_hours(24);
/// How many ids one look at the staged views asks for.
const LOOK: usize = 1_000;

/// The views of one rebuild.
#[derive(Clone)]
pub struct Staging {
    store: Store,
    name: String,
}

impl Store {
    /// The views that are staged under this name.
    #[must_use]
    pub fn staging(&self, name: &str) -> Staging {
        Staging {
            store: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Puts what of a view is of these kinds in the place of what is there, and takes away what
    /// it does not have. Whether it did: what the projector has written since is newer, and
    /// stays.
    pub async fn replace(&self, view: &View, kinds: &[Kind]) -> Result<bool, Error> {
        self.put_kinds(view, kinds).await?;
        let mut connection = self.connection.clone();
        let id = view.request_id;
        let live: Option<u64> = connection.hget(key::request(id), "seq").await?;
        let newer = live.is_some_and(|live| live > view.seq);
        let gone = [
            (Kind::Failure, view.failure.is_none(), key::failure(id)),
            (Kind::Response, view.response.is_none(), key::response(id)),
        ];
        for (kind, absent, key) in gone {
            if absent && !newer && kinds.contains(&kind) {
                let _: i64 = connection.del(key).await?;
            }
        }
        Ok(!newer)
    }

    /// Takes away what is there of a request, for a view to be put in its place: for keys whose
    /// sequence is one that the log has never had, so that no guarded write gets past it.
    pub async fn remove(&self, view: &View, kinds: &[Kind]) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        let id = view.request_id;
        let keys = [
            (Kind::Request, key::request(id)),
            (Kind::Groups, key::groups(id)),
            (Kind::Failure, key::failure(id)),
            (Kind::Response, key::response(id)),
            (Kind::Metadata, key::metadata(id)),
        ];
        for (_, key) in keys.into_iter().filter(|(kind, _)| kinds.contains(kind)) {
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

    /// Keeps these views, and then how far the rebuild has come with them.
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

    /// These views, where they are staged.
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

    /// The ids of the staged views, some at a time: begin with 0; 0 again says that it was all.
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

    /// Drops these views: they have taken their place.
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

    /// Drops what is left of the rebuild.
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
