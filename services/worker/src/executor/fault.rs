//! Why an attempt failed, in a form that can be stored, shown and acted on.

use domain::FailureCode;
use std::error::Error;
use std::time::Duration;

/// The most bytes of one cause, and of the message.
pub const MAX_CAUSE_BYTES: usize = 4096;
/// The most causes of one fault; a longer chain loses its middle, not its root.
pub const MAX_CAUSES: usize = 8;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The kind of failure: stable, kebab-case, for policies and filters.
    pub code: String,
    /// The failure in plain words.
    pub message: String,
    /// The causes, nearest first; a program's last words come last.
    pub causes: Vec<String>,
    /// Whether another attempt may help.
    pub retry: Retry,
}

/// Whether another attempt at the task may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The next attempt would fail the same way.
    Never,
    /// The retry policy of the task type decides.
    ByPolicy,
    /// The called service said when to retry.
    After(Duration),
}

impl Fault {
    /// A failure that the next attempt would meet again.
    #[must_use]
    pub fn permanent(code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::new(code, message.as_ref(), Retry::Never)
    }

    /// A failure that the next attempt may not meet.
    #[must_use]
    pub fn transient(code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::new(code, message.as_ref(), Retry::ByPolicy)
    }

    fn new(code: impl Into<String>, message: &str, retry: Retry) -> Self {
        Self {
            code: code.into(),
            message: head(message, MAX_CAUSE_BYTES).to_owned(),
            causes: Vec::new(),
            retry,
        }
    }

    /// The attempt did not end within its time limit.
    #[must_use]
    pub fn timed_out(limit: Duration) -> Self {
        Self::transient(
            FailureCode::TaskTimedOut,
            format!("the attempt did not end within its time limit of {limit:?}"),
        )
    }

    /// The attempt was told to stop.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::permanent(
            FailureCode::TaskCancelled,
            "the attempt was cancelled before it ended",
        )
    }

    /// The same fault with another verdict on trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds a cause behind those already there; a blank one says nothing and is dropped.
    #[must_use]
    pub fn because(mut self, cause: impl AsRef<str>) -> Self {
        let cause = cause.as_ref().trim();
        if cause.is_empty() {
            return self;
        }
        if self.causes.len() == MAX_CAUSES {
            self.causes.pop();
        }
        self.causes.push(head(cause, MAX_CAUSE_BYTES).to_owned());
        self
    }

    /// Adds an error and the chain of errors behind it.
    #[must_use]
    pub fn because_of(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self = self.because(error.to_string());
            next = error.source();
        }
        self
    }
}

/// The first bytes of a text, at most `limit`, cut between characters.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cause_is_cut_between_characters() {
        let fault = Fault::permanent("x", "y").because("é".repeat(MAX_CAUSE_BYTES));
        assert_eq!(fault.causes, ["é".repeat(MAX_CAUSE_BYTES / 2)]);
        let odd = Fault::permanent("x", "y").because(format!("a{}", "é".repeat(MAX_CAUSE_BYTES)));
        assert_eq!(odd.causes[0].len(), MAX_CAUSE_BYTES - 1);
    }

    #[test]
    fn a_long_message_is_cut_too() {
        let fault = Fault::permanent("x", "m".repeat(MAX_CAUSE_BYTES + 1));
        assert_eq!(fault.message.len(), MAX_CAUSE_BYTES);
    }

    #[test]
    fn a_long_chain_of_causes_keeps_its_ends() {
        let fault = (0..20).fold(Fault::permanent("x", "y"), |fault, n| {
            fault.because(format!("cause {n}"))
        });
        assert_eq!(fault.causes.len(), MAX_CAUSES);
        assert_eq!(fault.causes.first().map(String::as_str), Some("cause 0"));
        assert_eq!(fault.causes.last().map(String::as_str), Some("cause 19"));
    }

    #[test]
    fn a_blank_cause_is_no_cause() {
        assert!(Fault::permanent("x", "y").because(" \n").causes.is_empty());
    }
}
