//! The streams, and the consumers that every deployment has. They are declared here, and created or
//! checked at start. The roles that send webhooks and traces open theirs with `feed_reader` when they start.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PriorityPolicy, pull};
use async_nats::jetstream::object_store;
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};

use crate::declare::{declare_bucket, declare_consumer, declare_stream, is_on_disk};
use crate::{Connection, Creates, Error, FeedReader, LogReader, account, postponed, subject};

pub(crate) const TASKS: &str = "TASKS";
pub(crate) const REPORTS: &str = "REPORTS";
pub(crate) const LIFECYCLE: &str = "LIFECYCLE";
pub(crate) const DEAD_LETTERS: &str = "DEAD_LETTERS";
pub(crate) const OPERATIONS: &str = "OPERATIONS";
pub(crate) const QUARANTINE: &str = "QUARANTINE";
pub(crate) const DEPLOYMENT: &str = "DEPLOYMENT";
pub(crate) const PAYLOADS: &str = "PAYLOADS";
pub(crate) const WEBHOOKS: &str = "WEBHOOKS";
/// How many messages of the log or the reports may be unacked. The orchestrator holds a commit as
/// long as a timer that the commit needs is not set.
const ACK_PENDING_MAX: i64 = 100_000;
/// The least time for which the feed remembers the id of an event. Each id that it remembers takes
/// some 150 bytes of the broker's memory.
const DUPLICATES_KNOWN: Duration = Duration::from_secs(30);
/// How much longer a payload is kept than every event that refers to it.
const PAYLOADS_OUTLIVE: Duration = Duration::from_hours(48);
/// The only group of a pinned consumer. The broker asks for a name, which never varies.
pub(crate) const PINNED: &str = "active";

/// The operator's settings for the streams.
#[derive(Clone, Debug)]
pub struct Topology {
    /// How many log streams the partitions are spread over.
    pub shards: u8,
    /// How many servers keep each stream.
    pub replicas: usize,
    /// How long the log and the feed are kept.
    pub log_age: Duration,
    /// How long dead letters are kept.
    pub dead_letter_age: Duration,
    /// The most bytes of tasks that the broker keeps in memory.
    pub tasks_max_bytes: i64,
    /// How long the actions of operators are kept.
    pub operation_age: Duration,
    /// The closed set of task types.
    pub task_types: Vec<String>,
    /// How long a worker holds a task without a sign of life.
    pub task_lease: Duration,
    /// How long a pinned instance may be silent before another takes over.
    pub takeover_after: Duration,
    /// How long the orchestrator and the projector may hold a message without a sign of life.
    pub ack_wait: Duration,
    /// Whether webhooks are sent, which have a stream of their own.
    pub webhooks: bool,
    /// Whether traces are sent, for which the feed has a consumer.
    pub traces: bool,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            shards: 1,
            replicas: 1,
            log_age: Duration::from_hours(7 * 24),
            dead_letter_age: Duration::from_hours(30 * 24),
            tasks_max_bytes: 512 * 1024 * 1024,
            operation_age: Duration::from_hours(365 * 24),
            task_types: vec!["default".into()],
            task_lease: Duration::from_secs(30),
            takeover_after: Duration::from_secs(5),
            ack_wait: Duration::from_secs(10),
            webhooks: false,
            traces: false,
        }
    }
}

impl Topology {
    /// The name of a shard's log stream.
    pub(crate) fn log_stream(shard: u8) -> String {
        format!("REQUESTS_{shard}")
    }

    /// Creates missing streams and checks existing ones. A stream that exists with another
    /// configuration is an error that names the difference. Before it creates anything, it checks
    /// the account. One error lists everything that the broker does not let Fanfold have. A process
    /// that may not create them checks them all, and one error names every difference.
    pub async fn declare(&self, connection: &Connection) -> Result<(), Error> {
        if connection.creates() != Creates::All {
            return self.check(connection).await;
        }
        let mut streams = self.streams();
        let on_disk = streams.len();
        streams.extend(self.queues());
        let mut payloads = self.payloads();
        account::suit(connection, self, &mut streams, Some(&mut payloads)).await?;
        let queues = streams.split_off(on_disk);
        for config in streams {
            declare_stream(connection, config).await?;
        }
        for config in queues {
            if !is_on_disk(connection, &config.name).await? {
                declare_stream(connection, config).await?;
            }
        }
        declare_bucket(connection, payloads).await?;
        for shard in 0..self.shards {
            self.declare_log_consumers(connection, shard).await?;
        }
        for (stream, consumer) in self.feed_consumers() {
            declare_consumer(connection, stream, consumer).await?;
        }
        self.declare_queue_consumers(connection).await
    }

    /// The consumers of the roles that not every deployment has, each with its stream.
    pub(crate) fn feed_consumers(&self) -> Vec<(&'static str, pull::Config)> {
        let mut consumers = Vec::new();
        if self.webhooks {
            consumers.extend(postponed::consumers(self.ack_wait));
        }
        if self.traces {
            consumers.push((LIFECYCLE, FeedReader::tracer(self.ack_wait)));
        }
        consumers
    }

    /// Creates the queues where they are missing, with their consumers.
    pub(crate) async fn create_queues(&self, connection: &Connection) -> Result<(), Error> {
        let mut queues = self.queues();
        account::suit(connection, self, &mut queues, None).await?;
        for config in queues {
            declare_stream(connection, config).await?;
        }
        self.declare_queue_consumers(connection).await
    }

    /// Creates the queues where they are missing. A queue that an earlier version kept on disk is
    /// replaced, because the caller is about to fill the queues.
    pub(crate) async fn declare_queues(&self, connection: &Connection) -> Result<(), Error> {
        let mut queues = self.queues();
        account::suit(connection, self, &mut queues, None).await?;
        for config in queues {
            if is_on_disk(connection, &config.name).await? {
                tracing::warn!(
                    stream = config.name,
                    "a queue was on disk and is recreated in memory"
                );
                let deleted = connection.jetstream.delete_stream(&config.name).await;
                deleted.map_err(|error| {
                    connection.failed(format_args!("STREAM.DELETE.{}", config.name), error)
                })?;
            }
            declare_stream(connection, config).await?;
        }
        self.declare_queue_consumers(connection).await
    }

    pub(crate) async fn declare_queue_consumers(
        &self,
        connection: &Connection,
    ) -> Result<(), Error> {
        for shard in 0..self.shards {
            declare_consumer(connection, REPORTS, self.report_consumer(shard)).await?;
        }
        for task_type in &self.task_types {
            let consumer = task_consumer(task_type, self.task_lease);
            declare_consumer(connection, TASKS, consumer).await?;
        }
        Ok(())
    }

    /// The queues are in memory, because their content follows from the log. Queue recovery
    /// publishes it again after a loss.
    pub(crate) fn queues(&self) -> [stream::Config; 2] {
        let base = stream::Config {
            storage: StorageType::Memory,
            num_replicas: self.replicas,
            retention: RetentionPolicy::WorkQueue,
            allow_direct: true,
            allow_atomic_publish: true,
            allow_batch_publish: true,
            ..stream::Config::default()
        };
        let marks = |name: &str| [subject::filled(name), subject::filling(name, "*")];
        let subjects = |own: &[&str], name: &str| {
            let own = own.iter().map(|own| (*own).to_owned());
            own.chain(marks(name)).collect()
        };
        let tasks = stream::Config {
            name: TASKS.into(),
            subjects: subjects(&["tasks.>"], TASKS),
            max_messages_per_subject: 1,
            max_bytes: self.tasks_max_bytes,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            ..base.clone()
        };
        let reports = stream::Config {
            name: REPORTS.into(),
            subjects: subjects(&["reports.>", "timers.>"], REPORTS),
            allow_message_schedules: true,
            ..base
        };
        [tasks, reports]
    }

    pub(crate) fn streams(&self) -> Vec<stream::Config> {
        let base = stream::Config {
            storage: StorageType::File,
            num_replicas: self.replicas,
            ..stream::Config::default()
        };
        let mut streams: Vec<_> = (0..self.shards)
            .map(|shard| stream::Config {
                name: Self::log_stream(shard),
                subjects: subject::partitions("requests", shard, self.shards, "*"),
                max_age: self.log_age,
                allow_direct: true,
                allow_atomic_publish: true,
                republish: Some(stream::Republish {
                    source: "requests.>".into(),
                    destination: subject::COMMITTED.into(),
                    headers_only: false,
                }),
                deny_delete: true,
                deny_purge: true,
                ..base.clone()
            })
            .collect();
        streams.push(stream::Config {
            name: LIFECYCLE.into(),
            subjects: subject::feed(),
            max_age: self.log_age,
            duplicate_window: self.duplicates_known(),
            allow_direct: true,
            allow_atomic_publish: true,
            allow_batch_publish: true,
            ..base.clone()
        });
        streams.push(stream::Config {
            name: DEAD_LETTERS.into(),
            subjects: vec!["dead-letters.>".into()],
            max_age: self.dead_letter_age,
            // A letter that is stored again is still kept once, and may be completed.
            max_messages_per_subject: 1,
            allow_direct: true,
            ..base.clone()
        });
        streams.push(stream::Config {
            name: OPERATIONS.into(),
            subjects: vec!["operations.>".into()],
            max_age: self.operation_age,
            allow_direct: true,
            ..base.clone()
        });
        streams.push(stream::Config {
            name: QUARANTINE.into(),
            subjects: vec!["quarantine.>".into()],
            // A conviction lasts as long as the log delivers the message.
            max_age: self.log_age,
            max_messages_per_subject: 1,
            allow_direct: true,
            ..base.clone()
        });
        streams.push(stream::Config {
            name: DEPLOYMENT.into(),
            subjects: vec![subject::DEPLOYMENT.into()],
            // The facts are kept for as long as the deployment.
            max_messages_per_subject: 1,
            ..base
        });
        if self.webhooks {
            streams.push(postponed::stream(self.replicas, self.log_age));
        }
        streams
    }

    /// How long the feed remembers event ids. It is longer than another projector needs to take
    /// over events that were published and not acked, and no longer than events are kept. An age of
    /// zero means forever.
    fn duplicates_known(&self) -> Duration {
        let takeover = 3 * self.ack_wait.max(self.takeover_after);
        let known = DUPLICATES_KNOWN.max(takeover);
        if self.log_age.is_zero() {
            known
        } else {
            known.min(self.log_age)
        }
    }

    pub(crate) fn payloads(&self) -> object_store::Config {
        object_store::Config {
            bucket: PAYLOADS.into(),
            // An age of zero means forever.
            max_age: if self.log_age.is_zero() {
                Duration::ZERO
            } else {
                self.log_age.saturating_add(PAYLOADS_OUTLIVE)
            },
            num_replicas: self.replicas,
            ..object_store::Config::default()
        }
    }

    /// The consumer of a log reader. One instance at a time holds the log of a shard.
    pub(crate) fn log_consumer(&self, reader: LogReader) -> pull::Config {
        pull::Config {
            durable_name: Some(reader.name().into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: match reader {
                // The projector works through the log in order, so one ack for a batch is enough.
                LogReader::Projector => AckPolicy::All,
                LogReader::Orchestrator => AckPolicy::Explicit,
            },
            max_ack_pending: ACK_PENDING_MAX,
            ..self.pinned()
        }
    }

    pub(crate) fn report_consumer(&self, shard: u8) -> pull::Config {
        pull::Config {
            durable_name: Some(report_consumer_name(shard)),
            filter_subjects: subject::partitions("reports", shard, self.shards, ">"),
            max_ack_pending: ACK_PENDING_MAX,
            ..self.pinned()
        }
    }

    fn pinned(&self) -> pull::Config {
        pull::Config {
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            priority_policy: PriorityPolicy::PinnedClient,
            priority_groups: vec![PINNED.into()],
            priority_timeout: self.takeover_after,
            ..pull::Config::default()
        }
    }
}

/// The consumer of the workers of a task type.
pub(crate) fn task_consumer(task_type: &str, task_lease: Duration) -> pull::Config {
    pull::Config {
        durable_name: Some(task_consumer_name(task_type)),
        filter_subject: format!("tasks.{task_type}.>"),
        ack_policy: AckPolicy::Explicit,
        ack_wait: task_lease,
        max_ack_pending: 50_000,
        ..pull::Config::default()
    }
}

pub(crate) fn report_consumer_name(shard: u8) -> String {
    format!("orchestrator-{shard}")
}

pub(crate) fn task_consumer_name(task_type: &str) -> String {
    format!("worker-{task_type}")
}
