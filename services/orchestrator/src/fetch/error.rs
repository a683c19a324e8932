/// Why a fetch failed, by how the caller must handle it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The allow-list does not contain the URI, or the URI leads to a forbidden target.
    #[error("it may not be fetched: {0}")]
    NotAllowed(String),
    /// A retry may help.
    #[error("{0}")]
    Transient(String),
    /// The resource does not exist or is not usable.
    #[error("{0}")]
    Final(String),
}

impl FetchError {
    /// Describes a failed exchange with a server, with its causes.
    pub(super) fn of_exchange(error: &reqwest::Error) -> Self {
        let mut text = String::from("the exchange failed");
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        Self::Transient(text)
    }
}
