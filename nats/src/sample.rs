//! The figures of consumers and streams, for the metrics of the instance that holds a shard.

use std::time::SystemTime;

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream;
use futures::TryStreamExt;
use metrics::{Consumer, Store};

use crate::topology::{LIFECYCLE, REPORTS, TASKS};
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
    /// The streams whose consumers are in it.
    pub streams: Vec<String>,
    /// Their consumers.
    pub consumers: Vec<Consumer>,
    /// All streams, if the shared ones were wanted.
    pub stores: Vec<Store>,
}

impl Connection {
    /// Reads the figures of a shard's consumers, with one question for each stream, one for all
    /// streams together, and one for each consumer that has messages to come.
    pub async fn sample(&self, shard: u8, which: Shared) -> Result<Sampled, Error> {
        let streams = Self::sampled_streams(shard, which);
        let mut stores = Vec::new();
        if which == Shared::Yes {
            let all = self.jetstream.streams().try_collect::<Vec<_>>().await;
            let all = all.map_err(Error::unavailable)?;
            stores = all.iter().map(store).collect();
        }
        let mut consumers = Vec::new();
        for name in &streams {
            let stream = self.jetstream.get_stream_no_info(name).await;
            let stream = stream.map_err(Error::unavailable)?;
            let all: Result<Vec<consumer::Info>, _> = stream.consumers().try_collect().await;
            for info in all.map_err(Error::unavailable)? {
                // Those of readers that come and go have no name that lasts.
                if info.config.durable_name.is_some() {
                    consumers.push(self.consumer(name, &info).await?);
                }
            }
        }
        Ok(Sampled {
            streams,
            consumers,
            stores,
        })
    }

    /// The streams whose consumers a sample has.
    #[must_use]
    pub fn sampled_streams(shard: u8, which: Shared) -> Vec<String> {
        let mut streams = vec![Topology::log_stream(shard)];
        if which == Shared::Yes {
            streams.extend([TASKS, REPORTS, LIFECYCLE].map(str::to_owned));
        }
        streams
    }

    async fn consumer(&self, stream: &str, info: &consumer::Info) -> Result<Consumer, Error> {
        let oldest_pending = if info.num_pending == 0 {
            None
        } else {
            self.oldest_after(stream, info).await?
        };
        Ok(Consumer {
            stream: stream.to_owned(),
            name: info.name.clone(),
            pending: info.num_pending,
            unacked: info.num_ack_pending as u64,
            redelivered: u64::try_from(info.num_redelivered).unwrap_or(0),
            waiting_pulls: info.num_waiting as u64,
            oldest_pending,
        })
    }

    /// When the first message was stored that the consumer was not given yet.
    async fn oldest_after(
        &self,
        stream: &str,
        info: &consumer::Info,
    ) -> Result<Option<SystemTime>, Error> {
        let stream = self.jetstream.get_stream_no_info(stream).await;
        let stream = stream.map_err(Error::unavailable)?;
        let config = &info.config;
        // A consumer with several subjects has those of all partitions of a shard: the first message
        // of the stream is then as good a sign.
        let filter = match config.filter_subject.as_str() {
            "" => ">",
            subject => subject,
        };
        let after = Some(info.delivered.stream_sequence + 1);
        // The message may be gone meanwhile, or a server may lag.
        let found = stream.direct_get_next_for_subject(filter, after).await;
        Ok(found.ok().map(|message| message.time.into()))
    }
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
