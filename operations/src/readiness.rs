//! Whether a process has everything that it needs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use domain::request::Sequence;
use jiff::Timestamp;
use nats::{ClockSkew, Connection, Error, LogReader};
use projections::permissions::Actor;
use projections::{StoppedView, Store};
use serde_json::{Value, json};
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
    /// By how much the clock of this machine is wrong, if it is over a second.
    pub clock_skew: Option<ClockSkew>,
    /// What NATS does not grant to this process, although its role needs it.
    pub lacking: Vec<String>,
    /// What Redis does not grant to this process, although its role needs it.
    pub lacking_at_redis: Vec<String>,
    /// What NATS has denied lately, in its own words.
    pub denials: Vec<String>,
    /// How many commits of this process in a row have had no answer.
    pub unanswered: u64,
    /// How many messages in the log this process has passed over, because they are no commits.
    pub passed_over: usize,
}

impl Readiness {
    /// Asks everything at once.
    pub async fn look(connection: &Connection, store: Option<(&Store, Actor)>, shards: u8) -> Self {
        let redis = async {
            match store {
                Some((store, _)) => Some(answer(store.check()).await),
                None => None,
            }
        };
        let views = store.map(|(store, _)| store);
        let (nats, redis, stopped_views, oldest_unprojected, lacking_at_redis) = tokio::join!(
            answer(connection.ping()),
            redis,
            stopped_views(views),
            oldest_unprojected(connection, views, shards),
            lacking(store),
        );
        Self {
            nats,
            redis,
            stopped_views,
            oldest_unprojected,
            clock_skew: connection.clock_skew(),
            lacking: connection.lacking(),
            lacking_at_redis,
            denials: connection.denials(),
            unanswered: connection.unanswered(),
            passed_over: nats::passed_over(),
        }
    }

    /// Whether NATS lacks nothing that this role may ask of it.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.lacking.is_empty()
    }

    /// What the brokers do not grant, as `/readyz` tells it; `None` where that is nothing.
    #[must_use]
    pub fn denied(&self) -> Option<Value> {
        let denied = json!({
            "nats": self.lacking,
            "redis": self.lacking_at_redis,
            "lately": self.denials,
        });
        let all = [&self.lacking, &self.lacking_at_redis, &self.denials];
        all.iter().any(|list| !list.is_empty()).then_some(denied)
    }

    /// Whether everything answers without which the process cannot work.
    #[must_use]
    pub fn has_dependencies(&self) -> bool {
        self.nats.is_ok()
    }

    /// What is wrong without keeping the process from its work. Without Redis, the API folds the log,
    /// and the projector publishes the feed and writes the views later. A stopped view holds up no
    /// other.
    #[must_use]
    pub fn degraded(&self) -> Vec<&'static str> {
        let redis = self.redis.as_ref().is_some_and(Result::is_err);
        let wrong = [
            (redis, "redis"),
            (!self.lacking_at_redis.is_empty(), "redis-permissions"),
            (!self.stopped_views.is_empty(), "stopped-views"),
            (self.clock_skew.is_some(), "clock"),
            (self.unanswered > 0, "log"),
        ];
        let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong);
        wrong.map(|(_, what)| what).collect()
    }

    fn said_of_the_log(&self) -> String {
        format!(
            "the last {} commits had no answer: if the disk of a NATS server was full, restart the \
             server once there is room",
            self.unanswered
        )
    }

    /// Each dependency with `ok`, `not needed` or the fault. The clock and the log are named
    /// only where something is wrong with them.
    #[must_use]
    pub fn dependencies(&self) -> BTreeMap<&'static str, String> {
        let word =
            |answer: &Result<(), String>| answer.clone().err().unwrap_or_else(|| "ok".into());
        let redis = self
            .redis
            .as_ref()
            .map_or_else(|| "not needed".into(), word);
        let servers = [("nats", word(&self.nats)), ("redis", redis)];
        let clock = self.clock_skew.map(|skew| ("clock", skew.to_string()));
        let log = (self.unanswered > 0).then(|| ("log", self.said_of_the_log()));
        servers.into_iter().chain(clock).chain(log).collect()
    }
}

async fn answer<E: Display>(ask: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match timeout(DEPENDENCY_TIMEOUT, ask).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {DEPENDENCY_TIMEOUT:?}")),
    }
}

/// What Redis does not grant, as far as it answers in time.
async fn lacking(store: Option<(&Store, Actor)>) -> Vec<String> {
    let Some((store, actor)) = store else {
        return Vec::new();
    };
    let looking = timeout(DEPENDENCY_TIMEOUT, store.lacking(actor)).await;
    looking.unwrap_or_default()
}

/// The stopped views. There are none where Redis does not answer in time.
async fn stopped_views(store: Option<&Store>) -> Vec<StoppedView> {
    let Some(store) = store else {
        return Vec::new();
    };
    let stopped = timeout(DEPENDENCY_TIMEOUT, store.stopped_views()).await;
    stopped.ok().and_then(Result::ok).unwrap_or_default()
}

/// The age of the oldest commit that is not in the feed, or not in the views as far as Redis
/// answers. Zero if no commit waits. `None` if the broker does not answer in time.
pub async fn oldest_unprojected(
    connection: &Connection,
    store: Option<&Store>,
    shards: u8,
) -> Option<Duration> {
    let looking = timeout(DEPENDENCY_TIMEOUT, oldest(connection, store, shards)).await;
    let oldest = looking.ok()?.ok()?;
    let waited = oldest.map(|at| Timestamp::now().duration_since(at));
    // The broker's clock may be ahead of the clock of this machine.
    Some(waited.map_or(Duration::ZERO, |age| age.try_into().unwrap_or_default()))
}

async fn oldest(
    connection: &Connection,
    store: Option<&Store>,
    shards: u8,
) -> Result<Option<Timestamp>, Error> {
    let mut oldest = None;
    for shard in 0..shards {
        let published = connection.acked(shard, LogReader::Projector).await?;
        let unpublished = connection
            .oldest_unacked(shard, LogReader::Projector)
            .await?;
        let unwritten = match checkpoint(store, shard).await {
            Some(written) if written < published => connection.stored_after(shard, written).await?,
            _ => None,
        };
        oldest = [oldest, unpublished, unwritten].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// Up to where the views of a shard are written, as far as Redis answers in time.
async fn checkpoint(store: Option<&Store>, shard: u8) -> Option<Sequence> {
    let asking = timeout(DEPENDENCY_TIMEOUT / 4, store?.checkpoint(shard)).await;
    asking.ok()?.ok()
}
