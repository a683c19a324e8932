//! Why a page cannot be shown, by what the visitor can do.

use axum::http::StatusCode;

/// Why a page cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such thing, or not for this visitor.
    NotFound(String),
    /// The address or the form cannot be understood.
    Unclear(String),
    /// A server does not answer now.
    Away(String),
    /// What is stored cannot be read.
    Unreadable(String),
    /// The visitor may not do this.
    NotAllowed(String),
    /// The action is refused as things are.
    Refused(String),
    /// The action is beyond a quota of the tenant.
    Exceeded(String),
}

impl Trouble {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unclear(_) => StatusCode::BAD_REQUEST,
            Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Exceeded(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The title of the page that says so.
    pub fn title(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Not found",
            Self::Unclear(_) => "This cannot be understood",
            Self::Away(_) => "A server does not answer",
            Self::Unreadable(_) => "This cannot be read",
            Self::NotAllowed(_) => "Not allowed",
            Self::Refused(_) => "Refused",
            Self::Exceeded(_) => "Beyond a quota",
        }
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::NotFound(reason)
            | Self::Unclear(reason)
            | Self::Away(reason)
            | Self::Unreadable(reason)
            | Self::NotAllowed(reason)
            | Self::Refused(reason)
            | Self::Exceeded(reason) => reason,
        }
    }

    /// What the visitor can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Check the id. A request is kept as long as the log keeps it.",
            Self::Unclear(_) => "Correct it and try again.",
            Self::Away(_) => {
                "Nothing is lost: what was accepted is in the log. Reload the page once the \
                 server answers."
            }
            Self::Unreadable(_) => {
                "Run `fanfold replay verify` for what is wrong, and start a version that can read \
                 it."
            }
            Self::NotAllowed(_) => "Ask whoever keeps AUTH_KEYS_FILE for the role.",
            Self::Refused(_) => "Look at the request as it is now.",
            Self::Exceeded(_) => "Whoever keeps the file with the tenants sets the quotas.",
        }
    }
}

impl From<history::Error> for Trouble {
    fn from(error: history::Error) -> Self {
        let reason = error.to_string();
        match error {
            history::Error::NotFound(_) => Self::NotFound(reason),
            history::Error::Unreachable(_) | history::Error::Unsuitable(_) => Self::Away(reason),
            history::Error::Unreadable(_) | history::Error::Packing(_) => Self::Unreadable(reason),
        }
    }
}

impl From<nats::Error> for Trouble {
    fn from(error: nats::Error) -> Self {
        history::Error::from(error).into()
    }
}
