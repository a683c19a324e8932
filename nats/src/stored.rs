use crate::Error;
use crate::error::Refusal;

/// What became of a message that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    Now,
    /// It was there already: nothing to do.
    Already,
}

impl Stored {
    /// The answer to a message that nobody else writes: what is there already is what is wanted.
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
