//! The checkpoints of a shard: where the oldest open request of its log began, and up to where the
//! feed has its events. Whoever looks for the open requests, or makes a deleted consumer of the log
//! again, begins there and not at the beginning of the log.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::request::{RequestId, Sequence};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::topology::QUARANTINE;
use crate::{Connection, Error, subject};

/// The oldest open request of a shard. A checkpoint never becomes wrong: a request that runs again
/// is opened by a later commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every request that an earlier commit opened has ended, except those below.
    pub from: Sequence,
    /// The requests with a commit that could not be read.
    #[serde(default)]
    pub unreadable: Vec<RequestId>,
}

impl Connection {
    /// The checkpoint of a shard. It is empty where nobody has stored one.
    pub async fn checkpoint(&self, shard: u8) -> Result<Checkpoint, Error> {
        let stored = self.noted(subject::checkpoint(shard)).await?;
        Ok(stored.unwrap_or_default())
    }

    /// Stores the checkpoint of a shard.
    pub async fn store_checkpoint(&self, shard: u8, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.keep(subject::checkpoint(shard), checkpoint).await
    }

    /// The sequence up to which the feed has the events of a shard, as a projector last noted it.
    pub async fn published(&self, shard: u8) -> Result<Sequence, Error> {
        let stored = self.noted(subject::published(shard)).await?;
        Ok(stored.unwrap_or(Sequence::NONE))
    }

    /// Notes up to where the feed has the events of a shard. A projector whose consumer was deleted
    /// goes on there.
    pub async fn note_published(&self, shard: u8, published: Sequence) -> Result<(), Error> {
        self.keep(subject::published(shard), &published).await
    }

    /// What was noted last at a subject. What this build cannot read is as if it was not there.
    async fn noted<T: DeserializeOwned>(&self, subject: String) -> Result<Option<T>, Error> {
        let stream = self.jetstream.get_stream_no_info(QUARANTINE).await;
        let stream = stream.map_err(Error::unavailable)?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(serde_json::from_slice(&message.payload).ok()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed(format_args!("STREAM.MSG.GET.{QUARANTINE}"), error)),
        }
    }

    async fn keep(&self, subject: String, what: &impl Serialize) -> Result<(), Error> {
        let body = serde_json::to_vec(what);
        let body = body.map_err(|error| Error::corrupt("a checkpoint", error))?;
        let stored = self.publish(subject, HeaderMap::new(), body.into()).await;
        stored.map(|_| ()).map_err(Error::of_refusal)
    }
}
