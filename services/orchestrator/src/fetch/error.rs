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
        Self::Transient(format!("the exchange failed{}", causes(error)))
    }

    /// Describes a client that cannot be made, such as on a system without certificates.
    pub(super) fn of_client(error: &reqwest::Error) -> Self {
        Self::Final(format!("there is no client for it{}", causes(error)))
    }
}

fn causes(error: &reqwest::Error) -> String {
    let behind = std::iter::successors(std::error::Error::source(error), |error| error.source());
    behind.fold(String::new(), |said, cause| format!("{said}: {cause}"))
}
