/// A consumer of the log that every deployment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogReader {
    /// Carries out the effects of each commit.
    Orchestrator,
    /// Folds commits into views and the feed.
    Projector,
}

impl LogReader {
    /// Every reader.
    pub const ALL: [Self; 2] = [Self::Orchestrator, Self::Projector];

    /// The name of the reader's consumer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Projector => "projector",
        }
    }
}
