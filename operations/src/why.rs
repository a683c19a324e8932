//! The caller who wants a change, the person for whom, and the reason.

use domain::access::Subject;
use nats::ByWhom;

/// The longest reason that a request's history may hold, in characters.
pub const REASON_MAX_CHARS: usize = 1_000;
/// The caller who wants a change, the person for whom, and the reason, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub(crate) by: String,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) reason: String,
}

/// The error for an unusable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// The reason is empty.
    #[error("say why: `reason` must not be empty")]
    Empty,
    /// The reason or the name is too long.
    #[error("`reason` and `by` may have at most {REASON_MAX_CHARS} characters")]
    TooLong,
}

impl Why {
    /// Checks a reason that must not be empty.
    pub fn new(by: &Subject, on_behalf_of: Option<&str>, reason: &str) -> Result<Self, WhyError> {
        if reason.trim().is_empty() {
            return Err(WhyError::Empty);
        }
        Self::of(by, on_behalf_of, reason)
    }

    /// The caller.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The person for whom the caller says it acts.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<&str> {
        self.on_behalf_of.as_deref()
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The form in which changes of dead letters are recorded.
    pub(crate) fn record(&self) -> ByWhom<'_> {
        ByWhom {
            by: &self.by,
            on_behalf_of: self.on_behalf_of.as_deref(),
            reason: &self.reason,
            operation: None,
        }
    }

    /// Checks a reason that may be empty.
    pub fn of(by: &Subject, on_behalf_of: Option<&str>, reason: &str) -> Result<Self, WhyError> {
        let (person, reason) = (on_behalf_of.unwrap_or_default().trim(), reason.trim());
        let too_long = |text: &str| text.chars().count() > REASON_MAX_CHARS;
        if too_long(reason) || too_long(person) {
            return Err(WhyError::TooLong);
        }
        // A caller that names itself acts for nobody else.
        let is_other = !person.is_empty() && person != by.as_str();
        Ok(Self {
            by: by.as_str().to_owned(),
            on_behalf_of: is_other.then(|| person.to_owned()),
            reason: reason.to_owned(),
        })
    }

    /// Nobody and no reason, for a decision that commits nothing.
    pub(crate) const fn none() -> Self {
        Self {
            by: String::new(),
            on_behalf_of: None,
            reason: String::new(),
        }
    }
}
