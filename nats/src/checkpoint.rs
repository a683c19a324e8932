//! The checkpoint of a shard: where the oldest open request of its log began. Whoever looks for the
//! open requests begins there, and not at the beginning of the log.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::request::{RequestId, Sequence};
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
        let stream = self.jetstream.get_stream_no_info(QUARANTINE).await;
        let stream = stream.map_err(Error::unavailable)?;
        let subject = subject::checkpoint(shard);
        match stream.get_last_raw_message_by_subject(&subject).await {
            // One that this build cannot read is as if it was not there.
            Ok(message) => Ok(serde_json::from_slice(&message.payload).unwrap_or_default()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(Checkpoint::default())
            }
            Err(error) => Err(self.failed(format_args!("STREAM.MSG.GET.{QUARANTINE}"), error)),
        }
    }

    /// Stores the checkpoint of a shard.
    pub async fn store_checkpoint(&self, shard: u8, checkpoint: &Checkpoint) -> Result<(), Error> {
        let body = serde_json::to_vec(checkpoint);
        let body = body.map_err(|error| Error::corrupt("a checkpoint", error))?;
        let subject = subject::checkpoint(shard);
        let stored = self.publish(subject, HeaderMap::new(), body.into()).await;
        stored.map(|_| ()).map_err(Error::of_refusal)
    }
}
