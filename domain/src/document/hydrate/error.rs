use crate::FailureCode;
use std::fmt;

use crate::document::budget::Over;

/// Why hydration does not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HydrationError {
    /// The document refers to URIs that are not captured yet. Fetch them, and try again.
    Missing {
        /// The URIs, each once.
        uris: Vec<String>,
    },
    /// Hydration can never succeed.
    Failed(Box<Failed>),
    /// Hydration takes more work than the caller allows: see [`Effort`](crate::document::Effort).
    TakesLonger,
}

/// The failed element and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub(crate) code: FailureCode,
    pub(crate) element: String,
    pub(crate) expression: String,
    pub(crate) reason: String,
}

impl HydrationError {
    pub(crate) fn failed(
        code: FailureCode,
        element: impl Into<String>,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Failed(Box::new(Failed {
            code,
            element: element.into(),
            expression: expression.into(),
            reason: reason.into(),
        }))
    }

    /// The error when an element exceeds the budget of its document.
    pub(crate) fn over(element: impl Into<String>, expression: &str, over: Over) -> Self {
        match over {
            Over::Allowed => Self::TakesLonger,
            over => Self::failed(
                FailureCode::HydrationTooCostly,
                element,
                expression,
                over.to_string(),
            ),
        }
    }

    /// The stable code; see `docs/vnml.md`, section 5.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Missing { .. } => FailureCode::HydrationFetchFailed,
            Self::Failed(failed) => failed.code,
            Self::TakesLonger => FailureCode::HydrationTooCostly,
        }
    }
}

/// Adds the URIs that are not in the list yet.
pub(crate) fn note(missing: &mut Vec<String>, uris: Vec<String>) {
    for uri in uris {
        if !missing.contains(&uri) {
            missing.push(uri);
        }
    }
}

impl fmt::Display for HydrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { uris } => write!(f, "not captured: {}", uris.join(", ")),
            Self::TakesLonger => f.write_str("it takes more work than the caller allows"),
            Self::Failed(failed) if failed.element.is_empty() => f.write_str(&failed.reason),
            Self::Failed(failed) if failed.expression.is_empty() => {
                write!(f, "<{}>: {}", failed.element, failed.reason)
            }
            Self::Failed(failed) => {
                let Failed {
                    element,
                    expression,
                    reason,
                    ..
                } = &**failed;
                let shown: String = expression.chars().take(200).collect();
                write!(f, "<{element}>: '{shown}': {reason}")
            }
        }
    }
}

impl std::error::Error for HydrationError {}
