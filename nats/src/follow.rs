//! Following the log by its headers: how a waiting caller learns that its request has gone on.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use domain::request::RequestId;
use futures::StreamExt;

use crate::{Connection, Error, Topology, commit, subject};

/// That a commit was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The request.
    pub request: RequestId,
    /// The commit's sequence.
    pub sequence: u64,
    /// Whether the request ended with it.
    pub terminal: bool,
}

/// The commits of a shard from now on, without their bodies, in order and without gaps.
pub struct Follower {
    messages: pull::Ordered,
}

impl Follower {
    /// Follows a shard of the log from now on.
    pub async fn open(connection: &Connection, shard: u8) -> Result<Self, Error> {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::New,
            headers_only: true,
            ..pull::OrderedConfig::default()
        };
        let consumer = connection
            .jetstream
            .create_consumer_on_stream(config, Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        let messages = consumer.messages().await.map_err(Error::unavailable)?;
        Ok(Self { messages })
    }

    /// The next notice; an error says that following broke and is to be opened again.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let Some(message) = self.messages.next().await else {
                return Err(Error::Unavailable("following the log ended".into()));
            };
            let message = message.map_err(Error::unavailable)?;
            let info = message.info().map_err(Error::unavailable)?;
            let Some(request) = subject::request(&message.subject, 2) else {
                continue;
            };
            let names = message.headers.as_ref().and_then(|h| h.get(commit::EVENTS));
            let terminal = names.is_some_and(|names| {
                let last = names.as_str().rsplit(',').next().unwrap_or_default();
                matches!(last, "succeeded" | "failed" | "cancelled")
            });
            return Ok(Notice {
                request,
                sequence: info.stream_sequence,
                terminal,
            });
        }
    }
}
