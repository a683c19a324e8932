//! Where the answers on the pages come from.

/// The source of the pages, in words for their frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A running system.
    Live {
        /// The address of its API, for commands.
        api: String,
        /// Whether callers are told apart.
        tells_callers_apart: bool,
    },
    /// A bundle.
    Bundle {
        /// Its file.
        file: String,
        /// Whether its documents are masked.
        redacted: bool,
        /// The damage to the file, if there is some.
        damage: Option<String>,
    },
}

impl Origin {
    /// The flag that makes the command line read the same source.
    #[must_use]
    pub fn flag(&self) -> String {
        match self {
            Self::Live { .. } => String::new(),
            Self::Bundle { file, .. } => format!(" --from {}", crate::commands::quoted(file)),
        }
    }

    /// The address of the API, where there is one.
    #[must_use]
    pub fn api(&self) -> Option<&str> {
        match self {
            Self::Live { api, .. } => Some(api),
            Self::Bundle { .. } => None,
        }
    }
}
