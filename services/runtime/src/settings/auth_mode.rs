//! Whether callers must prove who they are.

use std::fmt;
use std::str::FromStr;

use super::value::{Setting, Unusable};

/// What the operator says about callers who prove nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// Nothing: the other settings decide.
    #[default]
    Unsaid,
    /// In so many words: every caller may do everything.
    None,
}

impl FromStr for AuthMode {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        match text {
            "" => Ok(Self::Unsaid),
            "none" => Ok(Self::None),
            _ => Err(Unusable::new(
                "expected none; keys and tokens are set with AUTH_KEYS_FILE and AUTH_ISSUER",
            )),
        }
    }
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsaid => "",
            Self::None => "none",
        })
    }
}

impl Setting<Self> for AuthMode {
    fn into_field(self) -> Result<Self, Unusable> {
        Ok(self)
    }
}
