/// Why projecting stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or the feed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The views.
    #[error(transparent)]
    Views(#[from] projections::Error),
    /// Redis was emptied while the views were built again: begin anew.
    #[error("Redis was emptied meanwhile")]
    Emptied,
    /// A loop ended that must not.
    #[error("the projector's loop ended")]
    Ended,
}
