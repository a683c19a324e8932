//! A walk over every key, to find the keys whose request the log does not have.

use std::time::Duration;

use domain::request::RequestId;
use redis::AsyncCommands;

use crate::connection::Node;
use crate::{Error, Kind, Store, key};

/// How many keys one `SCAN` asks for.
const LOOK: usize = 1_000;

/// How often a part of the walk is asked for that Redis has not answered.
const TRIES: u32 = 10;
/// The pause before it is asked for again.
const PAUSE: Duration = Duration::from_millis(1_200);

/// A key of a request's view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewKey {
    /// The key.
    pub key: String,
    /// The request.
    pub request: RequestId,
    /// Whether the key is from an earlier version, so that nothing reads it.
    pub superseded: bool,
}

/// A walk over all keys that match a pattern, server by server.
struct Walk {
    store: Store,
    pattern: String,
    /// The servers that are left. The walk is at `cursor` on the last of them.
    nodes: Vec<Node>,
    cursor: u64,
}

impl Walk {
    async fn over(store: &Store, pattern: String) -> Result<Self, Error> {
        Ok(Self {
            store: store.clone(),
            pattern,
            nodes: store.connection.nodes().await?,
            cursor: 0,
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        let Some(node) = self.nodes.last() else {
            return Ok(None);
        };
        let mut scan = redis::cmd("SCAN");
        let prefix = self.store.connection.prefix();
        let pattern = prefix.of(&self.pattern);
        scan.arg(self.cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(LOOK);
        let mut asked = 1;
        let answer = loop {
            match self.store.connection.ask(node, scan.clone()).await {
                Err(error) if error.is_transient() && asked < TRIES => {
                    tracing::debug!(%error, "the walk over all keys asks again");
                    asked += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                answer => break answer?,
            }
        };
        let (cursor, keys): (u64, Vec<String>) = redis::from_redis_value(answer)
            .map_err(|error| Error::Unavailable(format!("its keys cannot be read: {error}")))?;
        self.cursor = cursor;
        if cursor == 0 {
            self.nodes.pop();
        }
        let prefix = self.store.connection.prefix();
        let own = keys.iter().filter_map(|key| prefix.without(key));
        Ok(Some(own.map(str::to_owned).collect()))
    }
}

/// A walk over all keys of views.
pub struct ViewKeys(Walk);

impl ViewKeys {
    /// Returns some more keys; `None` at the end. A key may come twice. A key that appears or
    /// disappears meanwhile may be left out.
    pub async fn next(&mut self) -> Result<Option<Vec<ViewKey>>, Error> {
        let Some(keys) = self.0.next().await? else {
            return Ok(None);
        };
        let mut found: Vec<ViewKey> = keys.iter().filter_map(|key| key::parse(key)).collect();
        for key in keys.into_iter().filter(|key| is_lookup(key)) {
            found.extend(self.0.store.look_up(key).await?);
        }
        Ok(Some(found))
    }
}

impl Store {
    /// Begins a walk over all keys of views.
    pub async fn view_keys(&self) -> Result<ViewKeys, Error> {
        Ok(ViewKeys(Walk::over(self, "*".into()).await?))
    }

    /// Removes the keys of earlier versions, which nothing reads, and returns how many there were.
    pub async fn remove_superseded(&self) -> Result<u64, Error> {
        let mut removed = 0;
        for begins in key::superseded() {
            let pattern = format!("{}*:{begins}*", key::STATE);
            removed += self.remove_matching(pattern).await?;
        }
        Ok(removed)
    }

    async fn remove_matching(&self, pattern: String) -> Result<u64, Error> {
        let mut walk = Walk::over(self, pattern).await?;
        let mut removed = 0;
        while let Some(keys) = walk.next().await? {
            let superseded = |name: &String| key::parse(name).is_some_and(|key| key.superseded);
            let mut remove = redis::pipe();
            for key in keys.iter().filter(|key| superseded(key)) {
                remove.unlink(key);
            }
            if !remove.is_empty() {
                let gone: Vec<u64> = remove.query_async(&mut self.connection()).await?;
                removed += gone.iter().sum::<u64>();
            }
        }
        Ok(removed)
    }

    /// The request of a key that has it as its value.
    async fn look_up(&self, key: String) -> Result<Option<ViewKey>, Error> {
        let request: Option<String> = self.connection().get(&key).await?;
        let request = request.and_then(|request| request.parse().ok());
        Ok(request.map(|request| ViewKey {
            key,
            request,
            superseded: false,
        }))
    }

    /// Whether a key exists now.
    pub async fn has_key(&self, key: &ViewKey) -> Result<bool, Error> {
        Ok(self.connection().exists(&key.key).await?)
    }
}

fn is_lookup(key: &str) -> bool {
    let mut prefixes = Kind::all().filter_map(|kind| kind.part().prefix_of_lookups());
    prefixes.any(|prefix| key.starts_with(prefix))
}
