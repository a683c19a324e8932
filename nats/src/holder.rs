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

impl Topology {
    /// Creates a reader's consumer of a shard's log again where somebody deleted it. It begins after
    /// `acked`, or after a later sequence that the reader has noted. Returns up to where everything
    /// is acked. A process that may not create the consumer says that it is missing.
    pub async fn restore_log_consumer(
        &self,
        connection: &Connection,
        (shard, reader): (u8, LogReader),
        acked: Sequence,
    ) -> Result<Sequence, Error> {
        let (stream, name) = (Self::log_stream(shard), reader.name());
        if let Some(found) = connection.consumer_info(&stream, name).await? {
            return Ok(Sequence::new(found.ack_floor.stream_sequence));
        }
        if connection.creates() != Creates::All {
            return Err(Error::Unsuitable(format!(
                "consumer {name} of {stream} was deleted: run `fanfold topology apply`"
            )));
        }
        let config = pull::Config {
            deliver_policy: beginning(connection, (shard, reader), acked).await?,
            ..self.log_consumer(reader)
        };
        connection.restore(&stream, config).await?;
        connection.acked(shard, reader).await
    }

    /// Creates the consumers of a shard's log where they are missing, and updates the others.
    pub(crate) async fn declare_log_consumers(
        &self,
        connection: &Connection,
        shard: u8,
    ) -> Result<(), Error> {
        let stream = Self::log_stream(shard);
        for reader in LogReader::ALL {
            let mut config = self.log_consumer(reader);
            if connection
                .consumer_info(&stream, reader.name())
                .await?
                .is_none()
            {
                config.deliver_policy =
                    beginning(connection, (shard, reader), Sequence::NONE).await?;
            }
            declare_consumer(connection, &stream, config).await?;
        }
        Ok(())
    }
}

/// Where a missing consumer begins: after the last sequence that is known to be worked off, so that
/// nothing is left out, and old events are not published again. A note from a log that is there no
/// more counts for nothing.
async fn beginning(
    connection: &Connection,
    (shard, reader): (u8, LogReader),
    acked: Sequence,
) -> Result<DeliverPolicy, Error> {
    let log = connection.described(&Topology::log_stream(shard)).await?;
    let last = log.cached_info().state.last_sequence;
    if last == 0 {
        return Ok(DeliverPolicy::All);
    }
    let noted = match reader {
        LogReader::Orchestrator => connection.checkpoint(shard).await?.from.before(),
        LogReader::Projector => connection.published(shard).await?,
    };
    let after = acked.max(noted);
    if after == Sequence::NONE || after.get() > last {
        return Ok(DeliverPolicy::All);
    }
    Ok(DeliverPolicy::ByStartSequence {
        start_sequence: after.next().get(),
    })
}
