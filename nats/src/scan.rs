//! Reading a stretch of the log in order, without leaving a consumer behind.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, PullConsumer, pull};
use domain::request::RequestId;
use futures::StreamExt;

use crate::{Commit, Connection, Delivery, Error, Topology, subject};

/// How long the broker may take to send the next commit of a stretch.
const NEXT_TIMEOUT: Duration = Duration::from_secs(10);

/// The commits of a shard between two sequences, in order.
pub struct Scan {
    messages: Option<pull::Ordered>,
    end: u64,
}

impl Scan {
    /// From sequence `from` to `to`, both included; what was removed by age is left out.
    pub async fn open(
        connection: &Connection,
        shard: u8,
        from: u64,
        to: u64,
    ) -> Result<Self, Error> {
        let stream = connection
            .jetstream
            .get_stream(Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        let state = &stream.cached_info().state;
        let end = to.min(state.last_sequence);
        if state.messages == 0 || from > end || end < state.first_sequence {
            return Ok(Self {
                messages: None,
                end,
            });
        }
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: from.max(1),
            },
            ..pull::OrderedConfig::default()
        };
        let consumer = stream
            .create_consumer(config)
            .await
            .map_err(Error::unavailable)?;
        let messages = consumer.messages().await.map_err(Error::unavailable)?;
        Ok(Self {
            messages: Some(messages),
            end,
        })
    }

    /// The next commits, at the most `limit`; none at the end of the stretch.
    pub async fn next(&mut self, limit: usize) -> Result<Option<Vec<Commit>>, Error> {
        let Some(commits) = self.next_each(limit).await? else {
            return Ok(None);
        };
        let commits = commits
            .into_iter()
            .map(|commit| commit.map_err(|e| e.error));
        commits.collect::<Result<Vec<Commit>, Error>>().map(Some)
    }

    /// The same, with those among them that cannot be read.
    pub async fn next_each(
        &mut self,
        limit: usize,
    ) -> Result<Option<Vec<Result<Commit, UnreadableCommit>>>, Error> {
        let mut commits = Vec::new();
        while let (Some(messages), true) = (&mut self.messages, commits.len() < limit) {
            let message = tokio::time::timeout(NEXT_TIMEOUT, messages.next())
                .await
                .map_err(|_| Error::Unavailable(format!("no commit came in {NEXT_TIMEOUT:?}")))?
                .ok_or_else(|| Error::Unavailable("reading the log ended".into()))?
                .map_err(Error::unavailable)?;
            let delivery = Delivery::new(message);
            let (sequence, _, _) = delivery.place()?;
            if sequence >= self.end {
                self.messages = None;
            }
            if sequence <= self.end {
                commits.push(UnreadableCommit::or_commit(&delivery)?);
            }
        }
        Ok((!commits.is_empty()).then_some(commits))
    }
}

/// A commit that cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadableCommit {
    /// Its sequence.
    pub sequence: u64,
    /// The request it is about, where its subject names one.
    pub request: Option<RequestId>,
    /// What is wrong with it.
    pub error: Error,
}

impl UnreadableCommit {
    /// The commit that was delivered, or that it cannot be read.
    pub fn or_commit(delivery: &Delivery) -> Result<Result<Commit, Self>, Error> {
        let (sequence, _, _) = delivery.place()?;
        Ok(delivery.commit().map_err(|error| Self {
            sequence,
            request: subject::request(delivery.subject(), 2),
            error,
        }))
    }
}

impl Connection {
    /// Up to which sequence a consumer of a shard's log has acked.
    pub async fn acked(&self, shard: u8, consumer: &str) -> Result<u64, Error> {
        let consumer: PullConsumer = self
            .jetstream
            .get_consumer_from_stream(consumer, Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        Ok(consumer.cached_info().ack_floor.stream_sequence)
    }
}
