use std::fmt;

use crate::document::budget::Over;

/// Why something cannot be hydrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HydrationError {
    /// These are referred to and not captured yet: fetch them, and try again.
    Missing {
        /// The URIs, each once.
        uris: Vec<String>,
    },
    /// It never will be.
    Failed(Box<Failed>),
    /// It takes more work than the caller allows: see [`Effort`](crate::document::Effort).
    TakesLonger,
}

/// What failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub(crate) code: &'static str,
    pub(crate) element: String,
    pub(crate) expression: String,
    pub(crate) reason: String,
}

impl HydrationError {
    pub(crate) fn failed(
        code: &'static str,
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

    /// The error that something goes over what its document may cost.
    pub(crate) fn over(element: impl Into<String>, expression: &str, over: Over) -> Self {
        match over {
            Over::Allowed => Self::TakesLonger,
            over => Self::failed(
                "hydration-too-costly",
                element,
                expression,
                over.to_string(),
            ),
        }
    }

    /// The stable code; see `docs/vnml.md`, section 5.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "hydration-fetch-failed",
            Self::Failed(failed) => failed.code,
            Self::TakesLonger => "hydration-too-costly",
        }
    }
}

/// Adds what is not noted yet.
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
