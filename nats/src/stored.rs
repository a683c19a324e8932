use crate::Error;
use crate::error::Refusal;

/// The result of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The message is stored now.
    Now,
    /// The message was there already: nothing to do.
    Already,
}

impl Stored {
    /// Converts the answer to a message that has only one writer. A message that is there already
    /// is the wanted one.
    pub(crate) fn from_answer(
        answer: Result<crate::group_commit::Place, Refusal>,
    ) -> Result<Self, Error> {
        match answer {
            Ok(place) => Ok(place.stored),
            Err(Refusal::SubjectTaken) => Ok(Self::Already),
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => Err(Error::Conflict),
            Err(refused) => Err(Error::of_refusal(refused)),
        }
    }
}
