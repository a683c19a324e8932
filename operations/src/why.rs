//! The person who wants a change, and the reason.

/// The longest reason that a request's history may hold, in characters.
pub const REASON_MAX_CHARS: usize = 1_000;
/// The person who wants a change and the reason, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub(crate) by: String,
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
    pub fn new(by: &str, reason: &str) -> Result<Self, WhyError> {
        if reason.trim().is_empty() {
            return Err(WhyError::Empty);
        }
        Self::of(by, reason)
    }

    /// The person.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Checks a reason that may be empty.
    pub fn of(by: &str, reason: &str) -> Result<Self, WhyError> {
        let (by, reason) = (by.trim(), reason.trim());
        if reason.chars().count() > REASON_MAX_CHARS || by.chars().count() > REASON_MAX_CHARS {
            return Err(WhyError::TooLong);
        }
        let by = if by.is_empty() { "anonymous" } else { by };
        Ok(Self {
            by: by.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Nobody and no reason, for a decision that commits nothing.
    pub(crate) const fn none() -> Self {
        Self {
            by: String::new(),
            reason: String::new(),
        }
    }
}
