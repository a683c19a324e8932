/// The kinds of keys that a request's view consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request itself: its status, its counts and its times.
    Request,
    /// The progress of its groups.
    Groups,
    /// Its failure.
    Failure,
    /// Its response.
    Response,
    /// The `x-*` headers of its submission.
    Metadata,
    /// The request of an idempotency key.
    Idempotency,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Request,
        Self::Groups,
        Self::Failure,
        Self::Response,
        Self::Metadata,
        Self::Idempotency,
    ];

    /// The kind of a key of a view.
    pub(crate) fn of(key: &str) -> Self {
        match key.rsplit(':').next() {
            _ if key.starts_with("request:idempotency:") => Self::Idempotency,
            Some("failure") => Self::Failure,
            Some("response") => Self::Response,
            Some("metadata") => Self::Metadata,
            Some("groups") => Self::Groups,
            _ => Self::Request,
        }
    }

    /// The name of the kind on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Groups => "groups",
            Self::Failure => "failure",
            Self::Response => "response",
            Self::Metadata => "metadata",
            Self::Idempotency => "idempotency",
        }
    }
}
