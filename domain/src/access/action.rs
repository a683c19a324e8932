use super::Role;

/// What an operation does. Every operation of the API names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Submit a document.
    Submit,
    /// Check a document without submitting it.
    Check,
    /// Read, wait for or follow requests. The role `submit` is enough for the requests of the same
    /// subject.
    Read,
    /// Look at what went wrong, whoever submitted it: the dead letters.
    Inspect,
    /// Change what was submitted: cancel, redrive, discard.
    Operate,
    /// Look at the deployment itself: its metrics, and the details of its health.
    Administer,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::Submit,
        Self::Check,
        Self::Read,
        Self::Inspect,
        Self::Operate,
        Self::Administer,
    ];

    /// The action as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Check => "check",
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// The least role that allows the action.
    #[must_use]
    pub const fn needs(self) -> Role {
        match self {
            Self::Submit | Self::Check => Role::Submit,
            Self::Read | Self::Inspect => Role::Read,
            Self::Operate => Role::Operate,
            Self::Administer => Role::Admin,
        }
    }

    /// Whether the action concerns the deployment and not a tenant of it.
    #[must_use]
    pub const fn is_of_system(self) -> bool {
        matches!(self, Self::Administer)
    }
}
