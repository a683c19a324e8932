//! The actions of people. Each has a page that says what will happen, wants a reason, and shows the
//! command that does the same.

mod fork;
mod form;
mod letter;
mod operation;
mod request;
mod sign_in;
mod token;

pub use fork::{act as act_fork, ask as ask_fork};
pub use letter::{act as act_letter, ask as ask_letter};
pub use operation::{
    act as act_operation, ask as ask_operation, ask_new as ask_new_operation,
    draft as draft_operation,
};
pub use request::{act as act_request, ask as ask_request};
pub use sign_in::{Sessions, page as sign_in_page, session, sign_in, sign_out};
pub use token::Tokens;

use nats::ExecuteError;
use operations::{BulkError, Operations};

use crate::Console;
use crate::trouble::Trouble;

impl Console {
    /// The commands; none where the pages show a bundle.
    pub(crate) fn operations(&self) -> Result<&Operations, Trouble> {
        let none = || Trouble::Refused("a bundle is a file: nothing in it can be changed".into());
        self.questions.operations().ok_or_else(none)
    }
}

impl From<BulkError> for Trouble {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Log(nats::Error::Refused(reason)) => Self::Unclear(reason),
            BulkError::Log(error) => error.into(),
            BulkError::Search(error) => error.into(),
            BulkError::Refused(_) | BulkError::OnlyLetters | BulkError::TookTooLong => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl From<ExecuteError> for Trouble {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(rejection) => Self::Refused(rejection.to_string()),
            ExecuteError::Log(error) => error.into(),
        }
    }
}
