//! How a deployment stands now: its servers, its log, its queues, and what is wrong with them.

use std::time::Duration;

use domain::request::Stuck;
use jiff::Timestamp;
use nats::{Connection, Extent, Filled, LogReader, Position};
use projections::Store;
use projections::permissions::Actor;
use tokio::time::timeout;

use crate::readiness::{DEPENDENCY_TIMEOUT, Readiness};
use crate::{STUCK_AFTER, StuckWatch};

/// Above this share of a limit, storage counts as nearly full, in percent.
const NEARLY_FULL_PERCENT: u64 = 80;
/// For how long commits may wait for the projector before that is wrong.
const UNPROJECTED_MAX: Duration = Duration::from_secs(30);

/// The answers of everything that can be asked.
#[derive(Debug)]
pub struct Standing {
    /// The time of the answers.
    pub at: Timestamp,
    /// The dependencies.
    pub readiness: Readiness,
    /// The shards of the log.
    pub shards: Vec<ShardStanding>,
    /// The queue of each task type; none where the broker does not say.
    pub queues: Vec<(String, Option<Position>)>,
    /// What is filled, where it has a limit.
    pub filled: Vec<Filled>,
    /// The open requests.
    pub open: Option<Open>,
}

/// A shard of the log. What the broker does not say is `None`.
#[derive(Debug)]
pub struct ShardStanding {
    /// Its number.
    pub number: u8,
    /// The commits that it holds.
    pub extent: Option<Extent>,
    /// Up to where the orchestrators are.
    pub orchestrator: Option<Position>,
    /// Up to where the projectors are.
    pub projector: Option<Position>,
    /// The reports that wait.
    pub reports: Option<Position>,
}

/// The requests that have not ended.
#[derive(Clone, Debug, Default)]
pub struct Open {
    /// How many there are.
    pub count: usize,
    /// Those without progress for longer than their timeouts explain, longest first.
    pub stuck: Vec<Stuck>,
    /// How many commits cannot be read.
    pub unreadable: usize,
    /// Whether the log was read to its end for these figures.
    pub is_complete: bool,
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The broker does not answer, so nothing goes on.
    BrokerAway(String),
    /// Something is nearly full.
    NearlyFull(Filled),
    /// Nobody continues the requests of a shard.
    NoOrchestrator {
        /// The shard.
        shard: u8,
        /// How many commits wait.
        waiting: u64,
    },
    /// No worker asks for the tasks of a type.
    NoWorker {
        /// The type.
        task_type: String,
        /// How many tasks wait.
        waiting: u64,
    },
    /// Requests have made no progress for longer than their timeouts explain.
    Stuck {
        /// How many.
        requests: usize,
        /// The one that has waited longest.
        first: Stuck,
    },
    /// Views were stopped at a commit that cannot be read or projected.
    ViewsStopped(usize),
    /// Commits of the log cannot be read.
    Unreadable(usize),
    /// Nobody folds the commits of a shard into views and the feed.
    NoProjector {
        /// The shard.
        shard: u8,
        /// How many commits wait.
        waiting: u64,
    },
    /// The views and the feed are behind.
    Behind(Duration),
    /// Redis does not answer or takes no writes. Answers come from the log.
    RedisAway(String),
    /// The clock of this machine is wrong.
    Clock(String),
}

impl Standing {
    /// Asks everything at once.
    pub async fn look(
        connection: &Connection,
        store: &Store,
        watch: &StuckWatch,
        shards: u8,
        task_types: &[String],
    ) -> Self {
        let readiness = Readiness::look(connection, Some((store, Actor::Operator)), shards);
        let of_shards = futures::future::join_all(
            (0..shards).map(|shard| ShardStanding::look(connection, shard)),
        );
        let queues = futures::future::join_all(task_types.iter().map(async |name| {
            let position = answer(connection.task_position(name)).await;
            (name.clone(), position)
        }));
        let filled = answer(connection.filled(shards));
        let open = async { watch.open(STUCK_AFTER).await.ok() };
        let (readiness, shards, queues, filled, open) =
            tokio::join!(readiness, of_shards, queues, filled, open);
        Self {
            at: Timestamp::now(),
            readiness,
            shards,
            queues,
            filled: filled.unwrap_or_default(),
            open,
        }
    }

    /// What is wrong, the worst first.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        if let Err(reason) = &self.readiness.nats {
            alarms.push(Alarm::BrokerAway(reason.clone()));
        }
        let nearly = |filled: &&Filled| {
            u128::from(filled.used) * 100
                >= u128::from(filled.limit) * u128::from(NEARLY_FULL_PERCENT)
        };
        let full = self.filled.iter().filter(nearly).cloned();
        alarms.extend(full.map(Alarm::NearlyFull));
        for shard in &self.shards {
            alarms.extend(
                idle(shard.orchestrator.as_ref()).map(|waiting| Alarm::NoOrchestrator {
                    shard: shard.number,
                    waiting,
                }),
            );
        }
        for (task_type, position) in &self.queues {
            alarms.extend(idle(position.as_ref()).map(|waiting| Alarm::NoWorker {
                task_type: task_type.clone(),
                waiting,
            }));
        }
        if let Some(open) = &self.open {
            alarms.extend(open.stuck.first().map(|first| Alarm::Stuck {
                requests: open.stuck.len(),
                first: first.clone(),
            }));
            if open.unreadable > 0 {
                alarms.push(Alarm::Unreadable(open.unreadable));
            }
        }
        self.of_views(&mut alarms);
        alarms.extend(
            self.readiness
                .clock_skew
                .map(|skew| Alarm::Clock(skew.to_string())),
        );
        alarms
    }

    fn of_views(&self, alarms: &mut Vec<Alarm>) {
        let stopped = self.readiness.stopped_views.len();
        if stopped > 0 {
            alarms.push(Alarm::ViewsStopped(stopped));
        }
        for shard in &self.shards {
            alarms.extend(
                idle(shard.projector.as_ref()).map(|waiting| Alarm::NoProjector {
                    shard: shard.number,
                    waiting,
                }),
            );
        }
        let behind = self.readiness.oldest_unprojected;
        alarms.extend(
            behind
                .filter(|age| *age > UNPROJECTED_MAX)
                .map(Alarm::Behind),
        );
        if let Some(Err(reason)) = &self.readiness.redis {
            alarms.push(Alarm::RedisAway(reason.clone()));
        }
    }
}

/// How many messages wait at a consumer that nobody asks.
fn idle(position: Option<&Position>) -> Option<u64> {
    let position = position?;
    let is_idle = position.waiting_pulls == 0 && position.unacked == 0;
    (is_idle && position.pending > 0).then_some(position.pending)
}

impl ShardStanding {
    async fn look(connection: &Connection, number: u8) -> Self {
        let (extent, orchestrator, projector, reports) = tokio::join!(
            answer(connection.extent(number)),
            answer(connection.log_position(number, LogReader::Orchestrator)),
            answer(connection.log_position(number, LogReader::Projector)),
            answer(connection.report_position(number)),
        );
        Self {
            number,
            extent,
            orchestrator,
            projector,
            reports,
        }
    }
}

/// The answer of the broker, where it comes in time.
async fn answer<T>(asking: impl Future<Output = Result<T, nats::Error>>) -> Option<T> {
    timeout(DEPENDENCY_TIMEOUT, asking).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(pending: u64, waiting_pulls: u64, unacked: u64) -> Position {
        Position {
            consumer: "worker-bond".into(),
            acked: 0,
            delivered: 0,
            pending,
            unacked,
            redelivered: 0,
            waiting_pulls,
        }
    }

    fn standing() -> Standing {
        Standing {
            at: Timestamp::UNIX_EPOCH,
            readiness: Readiness {
                nats: Ok(()),
                redis: Some(Ok(())),
                stopped_views: Vec::new(),
                oldest_unprojected: Some(Duration::ZERO),
                clock_skew: None,
                lacking: Vec::new(),
                lacking_at_redis: Vec::new(),
                denials: Vec::new(),
                passed_over: 0,
            },
            shards: Vec::new(),
            queues: Vec::new(),
            filled: Vec::new(),
            open: Some(Open::default()),
        }
    }

    #[test]
    fn nothing_is_wrong_where_everything_answers_and_nothing_waits() {
        assert_eq!(standing().alarms(), []);
    }

    #[test]
    fn tasks_that_no_worker_asks_for_are_wrong_and_busy_workers_are_not() {
        let mut standing = standing();
        standing.queues = vec![
            ("bond".into(), Some(position(3, 0, 0))),
            ("loan".into(), Some(position(3, 0, 64))),
            ("swap".into(), Some(position(0, 0, 0))),
            ("away".into(), None),
        ];
        let (task_type, waiting) = ("bond".to_owned(), 3);
        assert_eq!(standing.alarms(), [Alarm::NoWorker { task_type, waiting }]);
    }

    #[test]
    fn the_broker_comes_before_redis() {
        let mut standing = standing();
        standing.readiness.redis = Some(Err("refused".into()));
        standing.readiness.nats = Err("no answer".into());
        let (what, used, limit) = ("the log".to_owned(), 80, 100);
        standing.filled = vec![Filled { what, used, limit }];
        let alarms = standing.alarms();
        assert!(matches!(alarms[0], Alarm::BrokerAway(_)));
        assert!(matches!(alarms[1], Alarm::NearlyFull(_)));
        assert!(matches!(alarms[2], Alarm::RedisAway(_)));
    }
}
