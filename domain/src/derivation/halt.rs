use super::{Derivation, failure};
use crate::FailureCode;
use crate::document::HydrationError;
use crate::request::Failure;

/// How often resources may refer to further resources, before one group is derived.
const ROUNDS_MAX: u32 = 64;

/// Why a derivation does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// These resources are not captured yet, each named once. Capture them, and go on.
    Capture(Vec<String>),
    /// It takes more work than the caller allows. Go on with more effort.
    TakesLonger,
    /// The request fails.
    Fails(Box<Failure>),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Fails(Box::new(failure))
    }
}

impl Derivation {
    /// Notes that something was derived, or says why nothing was.
    pub(super) fn or_halt<T>(&mut self, done: Result<T, HydrationError>) -> Result<T, Halt> {
        match done {
            Ok(done) => {
                self.rounds = 0;
                Ok(done)
            }
            Err(HydrationError::TakesLonger) => Err(Halt::TakesLonger),
            Err(HydrationError::Missing { uris }) => {
                self.rounds += 1;
                if self.rounds <= ROUNDS_MAX {
                    return Err(Halt::Capture(uris));
                }
                let message = format!("the references refer on more than {ROUNDS_MAX} times");
                Err(failure(FailureCode::HydrationCycle, message).into())
            }
            Err(error) => Err(failure(error.code(), error.to_string()).into()),
        }
    }
}
