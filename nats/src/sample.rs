//! The figures of consumers and streams, for the metrics of the instance that holds a shard.

use std::time::SystemTime;

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream;
use futures::TryStreamExt;
use metrics::{Consumer, Store};

use crate::declare::is_missing;
use crate::topology::{
    DEAD_LETTERS, LIFECYCLE, OPERATIONS, PAYLOADS, QUARANTINE, REPORTS, TASKS, WEBHOOKS,
};
use crate::{Connection, Error, Topology};

/// Which streams a sample looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The log of the shard alone.
    No,
    /// The log of the shard, and the streams that all shards share.
    Yes,
}

/// The figures of a sample.
#[derive(Debug)]
pub struct Sampled {
    /// The streams that were looked at.
    pub streams: Vec<String>,
    /// Their consumers.
    pub consumers: Vec<Consumer>,
    /// Those of the streams that there are.
    pub stores: Vec<Store>,
}

impl Connection {
    /// Reads the figures of a shard's streams and consumers. It asks for each stream by its name,
    /// because the account may have streams of others.
    pub async fn sample(&self, shard: u8, which: Shared) -> Result<Sampled, Error> {
        let streams = Self::sampled_streams(shard, which);
        let (mut stores, mut consumers) = (Vec::new(), Vec::new());
        for name in &streams {
            stores.extend(self.store(name).await?);
        }
        for name in streams.iter().filter(|name| has_consumers(name)) {
            consumers.extend(self.consumers(name).await?);
        }
        Ok(Sampled {
            streams,
            consumers,
            stores,
        })
    }

    /// The streams that a sample looks at.
    #[must_use]
    pub fn sampled_streams(shard: u8, which: Shared) -> Vec<String> {
        let mut streams = vec![Topology::log_stream(shard)];
        if which == Shared::Yes {
            let of_all = [
                TASKS,
                REPORTS,
                LIFECYCLE,
                DEAD_LETTERS,
                OPERATIONS,
                QUARANTINE,
                WEBHOOKS,
            ];
            streams.extend(of_all.map(str::to_owned));
            streams.push(format!("OBJ_{PAYLOADS}"));
        }
        streams
    }

    /// The figures of a stream; `None` where there is no such stream.
    async fn store(&self, name: &str) -> Result<Option<Store>, Error> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(Some(store(stream.cached_info()))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format_args!("STREAM.INFO.{name}"), error)),
        }
    }

    /// The figures of a stream's consumers, with one question for each that has messages to come.
    async fn consumers(&self, name: &str) -> Result<Vec<Consumer>, Error> {
        let failed = |error| self.failed(format_args!("CONSUMER.LIST.{name}"), error);
        let stream = self.jetstream.get_stream_no_info(name).await;
        let stream = stream.map_err(Error::unavailable)?;
        let all: Result<Vec<consumer::Info>, _> = stream.consumers().try_collect().await;
        let mut consumers = Vec::new();
        for info in all.map_err(failed)? {
            // Those of readers that come and go have no name that lasts.
            if info.config.durable_name.is_some() {
                let oldest = oldest_pending(&stream, &info).await;
                consumers.push(figures(name, &info, oldest));
            }
        }
        Ok(consumers)
    }
}

/// Whether roles follow a stream by consumers that last.
fn has_consumers(stream: &str) -> bool {
    ![
        DEAD_LETTERS,
        OPERATIONS,
        QUARANTINE,
        WEBHOOKS,
        &format!("OBJ_{PAYLOADS}"),
    ]
    .contains(&stream)
}

fn figures(stream: &str, info: &consumer::Info, oldest_pending: Option<SystemTime>) -> Consumer {
    Consumer {
        stream: stream.to_owned(),
        name: info.name.clone(),
        pending: info.num_pending,
        unacked: info.num_ack_pending as u64,
        redelivered: u64::try_from(info.num_redelivered).unwrap_or(0),
        waiting_pulls: info.num_waiting as u64,
        oldest_pending,
    }
}

/// When the first message was stored that the consumer was not given yet.
async fn oldest_pending(stream: &stream::Stream<()>, info: &consumer::Info) -> Option<SystemTime> {
    if info.num_pending == 0 {
        return None;
    }
    // A consumer with several subjects has those of all partitions of a shard: the first message
    // of the stream is then as good a sign.
    let filter = match info.config.filter_subject.as_str() {
        "" => ">",
        subject => subject,
    };
    let after = Some(info.delivered.stream_sequence + 1);
    // The message may be gone meanwhile, or a server may lag.
    let found = stream.direct_get_next_for_subject(filter, after).await;
    Some(found.ok()?.time.into())
}

fn store(info: &stream::Info) -> Store {
    let state = &info.state;
    Store {
        stream: info.config.name.clone(),
        bytes: state.bytes,
        bytes_max: u64::try_from(info.config.max_bytes)
            .ok()
            .filter(|most| *most > 0),
        messages: state.messages,
        first: (state.messages > 0).then(|| state.first_timestamp.into()),
    }
}
