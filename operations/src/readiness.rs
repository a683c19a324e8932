//! Whether a process has everything that it needs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use nats::{Connection, Error, LogReader};
use projections::{StoppedView, Store};
use tokio::time::timeout;

/// How long a dependency may take to answer before it counts as missing.
pub const DEPENDENCY_TIMEOUT: Duration = Duration::from_millis(800);

/// The answers of the dependencies of a process.
#[derive(Debug)]
pub struct Readiness {
    /// The answer of NATS.
    pub nats: Result<(), String>,
    /// The answer of Redis. `None` if the process does not need Redis.
    pub redis: Option<Result<(), String>>,
    /// The stopped views, as far as Redis answers.
    pub stopped_views: Vec<StoppedView>,
    /// The age of the oldest commit that is not in the views and the feed yet. `None` if the broker
    /// does not answer in time.
    pub oldest_unprojected: Option<Duration>,
}

impl Readiness {
    /// Asks everything at once.
    pub async fn look(connection: &Connection, store: Option<&Store>, shards: u8) -> Self {
        let redis = async {
            match store {
                Some(store) => Some(answer(store.ping()).await),
                None => None,
            }
        };
        let (nats, redis, stopped_views, oldest_unprojected) = tokio::join!(
            answer(connection.ping()),
            redis,
            stopped_views(store),
            oldest_unprojected(connection, shards),
        );
        Self {
            nats,
            redis,
            stopped_views,
            oldest_unprojected,
        }
    }

    /// Whether every dependency answers.
    #[must_use]
    pub fn has_dependencies(&self) -> bool {
        self.nats.is_ok() && self.redis.as_ref().is_none_or(Result::is_ok)
    }

    /// Each dependency with `ok`, `not needed` or the fault.
    #[must_use]
    pub fn dependencies(&self) -> BTreeMap<&'static str, String> {
        let word =
            |answer: &Result<(), String>| answer.clone().err().unwrap_or_else(|| "ok".into());
        let redis = self
            .redis
            .as_ref()
            .map_or_else(|| "not needed".into(), word);
        BTreeMap::from([("nats", word(&self.nats)), ("redis", redis)])
    }
}

async fn answer<E: Display>(ask: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match timeout(DEPENDENCY_TIMEOUT, ask).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEPENDENCY_TIMEOUT:?}")),
    }
}

/// The stopped views. There are none where Redis does not answer in time.
pub async fn stopped_views(store: Option<&Store>) -> Vec<StoppedView> {
    let Some(store) = store else {
        return Vec::new();
    };
    let stopped = timeout(DEPENDENCY_TIMEOUT, store.stopped_views()).await;
    stopped.ok().and_then(Result::ok).unwrap_or_default()
}

/// The age of the oldest commit that is not projected yet. Zero if no commit waits. `None` if the
/// broker does not answer in time.
pub async fn oldest_unprojected(connection: &Connection, shards: u8) -> Option<Duration> {
    let looking = timeout(DEPENDENCY_TIMEOUT, oldest(connection, shards)).await;
    let oldest = looking.ok()?.ok()?;
    let waited = oldest.map(|at| Timestamp::now().duration_since(at));
    // The broker's clock may be ahead of the clock of this machine.
    Some(waited.map_or(Duration::ZERO, |age| age.try_into().unwrap_or_default()))
}

async fn oldest(connection: &Connection, shards: u8) -> Result<Option<Timestamp>, Error> {
    let mut oldest = None;
    for shard in 0..shards {
        let at = connection
            .oldest_unacked(shard, LogReader::Projector)
            .await?;
        oldest = match (oldest, at) {
            (Some(oldest), Some(at)) => Some(at.min(oldest)),
            (oldest, at) => oldest.or(at),
        };
    }
    Ok(oldest)
}
