//! Who holds a shard, and the consumers that were deleted while the system runs.

use async_nats::jetstream::consumer::{DeliverPolicy, Info, PullConsumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use domain::request::Sequence;

use crate::check::is_absent;
use crate::declare::declare_consumer;
use crate::topology::{REPORTS, TASKS, task_consumer};
use crate::{Connection, Creates, Error, LogReader, Queues, Topology};

/// The orchestrator's consumer of a shard's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of the instance that the broker delivers to; `None` while it is none.
    pub pinned: Option<String>,
    /// The sequence up to which every commit was delivered at least once.
    pub delivered: Sequence,
    /// The sequence up to which every commit is acked.
    pub acked: Sequence,
}

impl Connection {
    /// Who holds a shard. `None` says that the consumer does not exist.
    pub async fn holder(&self, shard: u8) -> Result<Option<Holder>, Error> {
        let stream = Topology::log_stream(shard);
        let info = self.consumer_info(&stream, LogReader::Orchestrator.name());
        Ok(info.await?.map(|info| Holder {
            pinned: info
                .priority_groups
                .into_iter()
                .find_map(|group| group.pinned_client_id)
                .filter(|pin| !pin.is_empty()),
            delivered: Sequence::new(info.delivered.stream_sequence),
            acked: Sequence::new(info.ack_floor.stream_sequence),
        }))
    }

    pub(crate) async fn consumer_info(
        &self,
        stream: &str,
        name: &str,
    ) -> Result<Option<Info>, Error> {
        let found: Result<PullConsumer, _> =
            self.jetstream.get_consumer_from_stream(name, stream).await;
        match found {
            Ok(consumer) => Ok(Some(consumer.cached_info().clone())),
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(answer) if is_absent(answer.error_code()) => Ok(None),
                _ => Err(self.failed(format_args!("CONSUMER.INFO.{stream}.{name}"), error)),
            },
        }
    }

    /// Creates a consumer where it is missing.
    async fn restore(&self, stream: &str, config: pull::Config) -> Result<(), Error> {
        let name = config.durable_name.clone().unwrap_or_default();
        if self.consumer_info(stream, &name).await?.is_none() {
            tracing::warn!(
                stream,
                consumer = name,
                "a consumer was deleted and is created again"
            );
            declare_consumer(self, stream, config).await?;
        }
        Ok(())
    }
}

impl Queues {
    /// Creates the orchestrator's consumer of a shard's log again. It begins after `acked`. A process
    /// that may create the queues alone says that it is missing.
    pub async fn restore_log_consumer(&self, shard: u8, acked: Sequence) -> Result<(), Error> {
        let mut config = self.topology.log_consumer(LogReader::Orchestrator);
        if self.connection.creates() != Creates::All {
            let (stream, name) = (Topology::log_stream(shard), LogReader::Orchestrator.name());
            return Err(Error::Unsuitable(format!(
                "consumer {name} of {stream} was deleted: run `fanfold topology apply`"
            )));
        }
        if acked > Sequence::NONE {
            config.deliver_policy = DeliverPolicy::ByStartSequence {
                start_sequence: acked.next().get(),
            };
        }
        self.connection
            .restore(&Topology::log_stream(shard), config)
            .await
    }

    /// Creates the consumers of the queues again where somebody deleted them.
    pub async fn restore_consumers(&self) -> Result<(), Error> {
        for shard in 0..self.topology.shards {
            let config = self.topology.report_consumer(shard);
            self.connection.restore(REPORTS, config).await?;
        }
        for task_type in &self.topology.task_types {
            let config = task_consumer(task_type, self.topology.task_lease);
            self.connection.restore(TASKS, config).await?;
        }
        Ok(())
    }
}
