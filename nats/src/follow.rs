//! Following the log: how a waiting caller learns that its request has advanced.
//!
//! The broker republishes every commit when it is stored. It does so once, and only to current
//! subscribers, which is cheaper than a consumer. A missed commit shows as a gap, or in the next
//! check of the stream.

use std::time::Duration;

use async_nats::header::{NATS_SEQUENCE, NATS_STREAM, NATS_TIME_STAMP};
use async_nats::{HeaderMap, Message, Subscriber};
use domain::access::Tenant;
use domain::request::{RequestId, Sequence};
use futures::StreamExt;
use jiff::Timestamp;
use tokio::time::{Interval, MissedTickBehavior};

use crate::no_commit::is_no_commit;
use crate::{Commit, Connection, Error, Topology, commit, subject, tenant};

/// How often the follower checks whether it missed a commit.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long such a check may take. Meanwhile the follower reports no commits.
const LOOK_TIMEOUT: Duration = Duration::from_millis(300);

/// The notice that a commit was stored.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The request.
    pub request: RequestId,
    /// The commit's sequence.
    pub sequence: Sequence,
    /// Whether the request ended with the commit.
    pub terminal: bool,
    message: Message,
}

impl Notice {
    /// The tenant of the request.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        tenant::of(self.message.headers.as_ref())
    }

    /// Whether the request begins to run with the commit, for the first time or again.
    #[must_use]
    pub fn begins(&self) -> bool {
        let headers = self.message.headers.as_ref();
        headers.is_some_and(commit::begins)
    }

    /// Decodes the commit itself.
    pub fn commit(&self) -> Result<Commit, Error> {
        let empty = HeaderMap::new();
        let headers = self.message.headers.as_ref().unwrap_or(&empty);
        let what = || format!("the time of commit {}", self.sequence);
        let at = headers.get(NATS_TIME_STAMP);
        let at: Timestamp = at
            .map_or("", async_nats::HeaderValue::as_str)
            .parse()
            .map_err(|error| Error::corrupt(what(), error))?;
        let message = &self.message;
        commit::decode(
            &message.subject,
            self.sequence,
            at,
            headers,
            &message.payload,
        )
    }
}

/// The commits of all shards from now on.
pub struct Follower {
    connection: Connection,
    messages: Subscriber,
    look: Interval,
    shards: Vec<Shard>,
}

/// How far the follower has heard a shard's log.
struct Shard {
    stream: String,
    heard: Sequence,
    /// The last sequence of the log at the time of the last check.
    looked: Sequence,
}

impl Follower {
    /// Follows the log from now on.
    pub async fn open(connection: &Connection, shards: u8) -> Result<Self, Error> {
        let subscribing = connection.client.subscribe(subject::COMMITTED);
        let mut follower = Self {
            messages: subscribing.await.map_err(Error::unavailable)?,
            connection: connection.clone(),
            look: tokio::time::interval(LOOK_EVERY),
            shards: Vec::new(),
        };
        follower
            .look
            .set_missed_tick_behavior(MissedTickBehavior::Delay);
        for shard in 0..shards {
            let stream = Topology::log_stream(shard);
            let last = follower.last(&stream).await?;
            follower.shards.push(Shard {
                stream,
                heard: last,
                looked: last,
            });
        }
        Ok(follower)
    }

    /// Waits for the next commit that was stored. `None` says that the follower may have missed
    /// others, so every caller has to check for itself. An error says that the connection is
    /// closed.
    pub async fn next(&mut self) -> Result<Option<Notice>, Error> {
        loop {
            tokio::select! {
                message = self.messages.next() => {
                    let ended = || Error::Unavailable("following the log ended".into());
                    match self.take(message.ok_or_else(ended)?) {
                        Some((_, true)) => return Ok(None),
                        Some((Some(notice), _)) => return Ok(Some(notice)),
                        Some((None, _)) | None => {}
                    }
                }
                _ = self.look.tick() => {
                    if self.missed().await {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Reads a notice, and returns it with whether a commit before it was missed. There is no notice
    /// of a message in the log that is no commit. Returns `None` for a message that is not of these
    /// shards.
    fn take(&mut self, message: Message) -> Option<(Option<Notice>, bool)> {
        let headers = message.headers.as_ref()?;
        let stream = headers.get(NATS_STREAM)?.as_str();
        let sequence: Sequence = headers.get(NATS_SEQUENCE)?.as_str().parse().ok()?;
        let shard = self.shards.iter_mut().find(|s| s.stream == stream)?;
        let request = subject::request(&message.subject, 2)?;
        let before = shard.heard;
        shard.heard = before.max(sequence);
        let gap = sequence > before.next();
        if is_no_commit(message.headers.as_ref()) {
            return Some((None, gap));
        }
        let notice = Notice {
            request,
            sequence,
            terminal: commit::is_terminal(headers),
            message,
        };
        Some((Some(notice), gap))
    }

    /// Checks whether the log is ahead of the notices. It compares with the log at the time of the
    /// last check, because a commit that was stored since then may still be on its way.
    async fn missed(&mut self) -> bool {
        let mut missed = false;
        for index in 0..self.shards.len() {
            let last = match self.last(&self.shards[index].stream).await {
                Ok(last) => last,
                Err(error) => {
                    tracing::debug!(%error, "the follower could not check the log");
                    continue;
                }
            };
            let shard = &mut self.shards[index];
            missed |= shard.heard < shard.looked;
            shard.heard = shard.heard.max(shard.looked);
            shard.looked = last;
        }
        missed
    }

    async fn last(&self, stream: &str) -> Result<Sequence, Error> {
        let looking = self.connection.jetstream.get_stream(stream);
        let looked = tokio::time::timeout(LOOK_TIMEOUT, looking).await;
        let found = looked
            .map_err(|_| Error::Unavailable(format!("waited {LOOK_TIMEOUT:?}")))?
            .map_err(|error| {
                self.connection
                    .failed(format_args!("STREAM.INFO.{stream}"), error)
            })?;
        Ok(Sequence::new(found.cached_info().state.last_sequence))
    }
}
