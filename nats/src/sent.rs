use async_nats::jetstream::context::PublishAckFuture;

use crate::Error;
use crate::error::{Refusal, refusal};

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    Now,
    /// It was there already: nothing to do.
    Already,
}

/// A message that was sent and not yet answered. At most [`crate::Options::max_in_flight`] may
/// be awaited at once.
pub struct Sent {
    ack: PublishAckFuture,
}

impl Sent {
    pub(crate) fn new(ack: PublishAckFuture) -> Self {
        Self { ack }
    }

    /// The broker's answer.
    pub async fn answer(self) -> Result<Stored, Error> {
        match self.ack.await {
            Ok(ack) if ack.duplicate => Ok(Stored::Already),
            Ok(_) => Ok(Stored::Now),
            Err(error) => match refusal(&error) {
                Refusal::SubjectTaken => Ok(Stored::Already),
                Refusal::Other(reason) => Err(Error::Unavailable(reason)),
                Refusal::WrongSequence | Refusal::SequenceUnsure => Err(Error::Conflict),
            },
        }
    }
}
