/// Why something was not fetched, by what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The operator's allow-list does not have it, or it leads where nothing may be fetched.
    #[error("it may not be fetched: {0}")]
    NotAllowed(String),
    /// Trying again may help.
    #[error("{0}")]
    Transient(String),
    /// It is not there, or not what it should be.
    #[error("{0}")]
    Final(String),
}

impl FetchError {
    /// What went wrong on the way to a server, with its causes.
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
